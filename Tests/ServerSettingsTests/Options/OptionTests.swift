import ServerSettings
import Testing

/// Options of an imagined plugin.
private struct ProjectorOptions: OptionGroup {
  let isLoud = Option.flag("projector", "loud", default: true, .ours, help: "Make noise")
  let lamps = Option.number("projector", "lamps", 1...4, default: 2, help: "Lamps that burn")
  let spares = Option.number("projector", "spares", 0...9, help: "Lamps in the drawer")
  let films = Option.list("projector", "films", default: ["one", "two"], help: "Films to show")
  let reels = Option.words("projector", "reels", default: [".*"], help: "Reels")
  let shown = Option.list("projector", "shown", help: "Films to show at all")
  let room = Option<String?>.text("projector_*", "room", help: "Where it stands")
  let pause = Option.seconds("projector", "pause", default: 5, help: "Seconds between films")
  let reel = Option.size("projector", "reel", default: "2k", help: "Bytes of a reel")
  let mode = Option.choice("projector", "mode", of: ["day", "night"], default: "day", help: "Light of the room")
}

@Suite struct OptionTests {
  private let options = ProjectorOptions()

  private func settings(_ text: String) throws -> Settings {
    var registry = SettingRegistry.standard
    registry.add(options.definitions)
    return try Settings(try INIFile(bytes: Array(text.utf8), path: "bcfg2.conf"), registry: registry)
  }

  @Test func anOptionThatNobodySetsHasItsDefault() throws {
    for settings in [Settings(), try settings("[server]\n")] {
      #expect(settings[options.isLoud] && settings[options.lamps] == 2 && settings[options.spares] == nil)
      #expect(settings[options.films] == ["one", "two"] && settings[options.reels] == [".*"])
      #expect(settings[options.shown] == nil && settings[options.pause] == .seconds(5))
      #expect(settings[options.reel] == 2048 && settings[options.mode] == "day")
      #expect(settings[options.room, in: "projector_hall"] == nil)
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
    #expect(settings[options.reel] == 1 << 20 && settings[options.mode] == "night")
    #expect(settings[options.room, in: "projector_hall"] == "the hall")
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
        == ["loud", "lamps", "spares", "films", "reels", "shown", "room", "pause", "reel", "mode"])
    #expect(options.definitions[1].help == "Lamps that burn" && options.definitions[0].availability == .ours)
  }
}
