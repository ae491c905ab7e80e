import ServerSettings
import Testing

/// Options of an imagined plugin.
private nonisolated struct ProjectorOptions: OptionGroup {
  let isLoud = Option("projector", "loud", .boolean, default: "yes", .ours, help: "Make noise")
  let lamps = Option("projector", "lamps", .integer(1...4), default: "2", help: "Lamps that burn")
  let spares = Option("projector", "spares", .integer(0...9), help: "Lamps in the drawer")
  let films = Option("projector", "films", .commaList, default: "one,two", help: "Films to show")
  let reels = Option("projector", "reels", .patterns, default: ".*", help: "Reels")
  let shown = Option("projector", "shown", .commaList, help: "Films to show at all")
  let room = Option("projector_*", "room", .text, help: "Where it stands")
  let pause = Option("projector", "pause", .seconds, default: "5", help: "Seconds between films")
  let reel = Option("projector", "reel", .size, default: "2k", help: "Bytes of a reel")
  let mode = Option("projector", "mode", .choice(Light.self), default: "day", help: "Light of the room")
  let screen = Option(
    "projector", "screen", .text, defaultOf14: "wide", defaultOf13: "square", fixed: .data, help: "Form of the screen")
  let lens = Option("projector", "lens", .text, defaultOf13: "glass", help: "The lens of 1.3")
  let labels = Option("projector_labels", "*", .text, help: "A label, under its name")

  enum Light: String, CaseIterable {
    case day, night
  }
}

@Suite struct OptionTests {
  private let options = ProjectorOptions()

  private func settings(_ text: String) throws -> Settings {
    try Settings(
      try INIFile(bytes: Array(text.utf8), path: "bcfg2.conf"), registry: SettingRegistry.server.adding([options]))
  }

  @Test func anOptionThatNobodySetsHasItsDefault() throws {
    for settings in [Settings(), try settings("[server]\n")] {
      #expect(settings[options.isLoud] && settings[options.lamps] == 2 && settings[options.spares] == nil)
      #expect(settings[options.films] == ["one", "two"] && settings[options.reels] == [".*"])
      #expect(settings[options.shown] == nil && settings[options.pause] == .seconds(5))
      #expect(settings[options.reel] == 2048 && settings[options.mode] == .day)
      #expect(settings[options.room, in: "projector_hall"] == nil && settings[options.lens] == nil)
      #expect(settings[options.screen] == "wide" && settings.named(options.labels).isEmpty)
    }
  }

  @Test func whatTheFileSaysIsTheValue() throws {
    let settings = try settings(
      """
      [projector]
      loud = off
      lamps = 4
      spares = 0
      films = three
      reels = a b
      shown = one, two
      pause = 0.5
      reel = 1m
      mode = night
      [projector_hall]
      room = the hall
      """)
    #expect(settings.warnings.isEmpty)
    #expect(!settings[options.isLoud] && settings[options.lamps] == 4 && settings[options.spares] == 0)
    #expect(settings[options.films] == ["three"] && settings[options.reels] == ["a", "b"])
    #expect(settings[options.shown] == ["one", "two"] && settings[options.pause] == .milliseconds(500))
    #expect(settings[options.reel] == 1 << 20 && settings[options.mode] == .night)
    #expect(settings[options.room, in: "projector_hall"] == "the hall")
  }

  @Test func olderDefaultsHoldWithTheOlderVersion() throws {
    let settings = try settings("[server]\ncompatibility = 1.3\n")
    #expect(settings[options.screen] == "square" && settings[options.lens] == "glass")
  }

  @Test func optionsOfAnyNameKeepTheirSpelling() throws {
    var settings = try settings("[projector_labels]\nFront Row = A\n")
    #expect(settings.named(options.labels) == ["Front Row": "A"])
    settings.set(options.labels, named: "Back", to: "Z")
    #expect(settings.named(options.labels) == ["Front Row": "A", "Back": "Z"])
  }

  @Test func anOptionThatIsSetHasItsValue() {
    var settings = Settings()
    settings[options.lamps] = 3
    settings[options.spares] = 1
    settings[options.mode] = .night
    #expect(settings[options.lamps] == 3 && settings[options.spares] == 1 && settings[options.mode] == .night)
    settings[options.spares] = nil
    #expect(settings[options.spares] == nil)
  }

  @Test func aNewValueOfAFixedOptionWaitsForTheNextStart() throws {
    let running = try settings("[projector]\nscreen = round\nlamps = 1\n")
    let (adapted, notices) = try settings("[projector]\nscreen = wide\nlamps = 4\n").adapted(to: running)
    #expect(adapted[options.screen] == "round" && adapted[options.lamps] == 4)
    #expect(
      notices == [
        "bcfg2.conf:2: [projector] screen changes at the next start only: \(RestartReason.data.rawValue)"
      ])
  }

  @Test func aWrongValueIsRefusedWithWhatIsAllowed() {
    #expect {
      try settings("[projector]\nlamps = 9\n")
    } throws: {
      "\($0)".contains("bcfg2.conf:2") && "\($0)".contains("a whole number from 1 to 4")
    }
  }

  @Test func aGroupListsItsOptionsAsTheyAreDeclared() {
    #expect(
      options.definitions.map(\.option)
        == [
          "loud", "lamps", "spares", "films", "reels", "shown", "room", "pause", "reel", "mode", "screen", "lens", "*",
        ])
    #expect(options.definitions[1].help == "Lamps that burn" && options.definitions[0].availability == .ours)
  }
}
