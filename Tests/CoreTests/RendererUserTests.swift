import Core
import ServerSettings
import Testing

/// Who renderers run as.
@Suite struct RendererUserTests {
  private func settings(_ conf: String) throws -> Settings {
    try Settings(INIFile(bytes: Array(conf.utf8), path: "bcfg2.conf"), commandLine: CommandLineOptions())
  }

  @Test func anotherUserNeedsAServerThatIsRoot() throws {
    let conf = "[server]\nuser = 7\n[templates]\nuser = 9\n"
    let error = #expect(throws: SettingsError.self) { try settings(conf).requireRendererUser(startedAs: 0) }
    #expect(error?.description.hasPrefix("bcfg2.conf:4") == true || "\(error!)".contains("line 4"), "\(error!)")
    #expect(throws: SettingsError.self) {
      try settings("[templates]\nuser = 9\n").requireRendererUser(startedAs: 7)
    }
    try settings("[templates]\nuser = 9\n").requireRendererUser(startedAs: 0)
    try settings("[templates]\nuser = 9\n").requireRendererUser(startedAs: 9)
    try settings("[server]\nuser = 7\n[templates]\nuser = 7\n").requireRendererUser(startedAs: 0)
  }

  @Test func anEncodingThatIsUnknownIsRefused() throws {
    for name in ["latin9", "ISO8859-15", "utf_8", "latin-1", "koi8_r", "ascii"] {
      #expect(try settings("[components]\nencoding = \(name)\n").encoding == name)
    }
    let error = #expect(throws: SettingsError.self) { try settings("[components]\nencoding = latin9x\n") }
    #expect("\(error!)".contains("latin9x") && "\(error!)".contains("bcfg2.conf"), "\(error!)")
  }
}
