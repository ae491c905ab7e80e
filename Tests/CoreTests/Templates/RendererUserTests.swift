import Core
import CoreSupport
import ServerSettings
import Testing

/// Who renderers run as.
@Suite struct RendererUserTests {
  private func settings(_ conf: String) throws -> Settings {
    try Settings(conf: conf)
  }

  @Test func anotherUserNeedsAServerThatIsRoot() throws {
    let conf = "[server]\nuser = 7\n[templates]\nuser = 9\n"
    let error = #expect(throws: SettingsError.self) { try settings(conf).requireRenderers(startedAs: 0) }
    #expect(error?.description.hasPrefix("bcfg2.conf:4") == true || "\(error!)".contains("line 4"), "\(error!)")
    #expect(throws: SettingsError.self) {
      try settings("[templates]\nuser = 9\n").requireRenderers(startedAs: 7)
    }
    try settings("[templates]\nuser = 9\n").requireRenderers(startedAs: 0)
    try settings("[templates]\nuser = 9\n").requireRenderers(startedAs: 9)
    try settings("[server]\nuser = 7\n[templates]\nuser = 7\n").requireRenderers(startedAs: 0)
  }

  @Test func aGroupWithoutAUserIsRefused() throws {
    let error = #expect(throws: SettingsError.self) {
      try settings("[templates]\n\ngroup = nogroup\n").requireRenderers(startedAs: 0)
    }
    #expect("\(error!)".contains("bcfg2.conf:3: [templates] group") && "\(error!)".contains("'nogroup'"), "\(error!)")
    #expect("\(error!)".contains("nothing without [templates] user"), "\(error!)")
    try settings("[templates]\nuser = 9\ngroup = nogroup\n").requireRenderers(startedAs: 0)
  }

  @Test func usersAreNamed() throws {
    let error = #expect(throws: SettingsError.self) {
      try settings("[server]\nuser = 65534\n[templates]\nuser = 1\n").requireRenderers(startedAs: 0)
    }
    #expect("\(error!)".contains("'daemon'") && "\(error!)".contains("own user, nobody"), "\(error!)")
  }

  @Test func tooLittleMemoryForPythonIsRefused() throws {
    let error = #expect(throws: SettingsError.self) {
      try settings("[templates]\nmemory = 64m\n").requireRenderers(startedAs: 0)
    }
    #expect("\(error!)".contains("bcfg2.conf:2") && "\(error!)".contains("96m or more"), "\(error!)")
    try settings("[templates]\nmemory = 96m\n").requireRenderers(startedAs: 0)
  }

  @Test func anInterpreterWithoutASlashIsFoundInPATH() throws {
    let found = try settings("[templates]\npython = sh\n").value("templates", "python")?.value.text
    #expect(found?.hasSuffix("/sh") == true && found?.hasPrefix("/") == true)
    let error = #expect(throws: SettingsError.self) { try settings("[templates]\npython = nosuchpython\n") }
    #expect("\(error!)".contains("bcfg2.conf:2") && "\(error!)".contains("nosuchpython"), "\(error!)")
  }

  @Test func anEncodingThatIsUnknownIsRefused() throws {
    for name in ["latin9", "ISO8859-15", "utf_8", "latin-1", "koi8_r", "ascii"] {
      #expect(try settings("[components]\nencoding = \(name)\n").encoding == name)
    }
    let error = #expect(throws: SettingsError.self) { try settings("[components]\nencoding = latin9x\n") }
    #expect("\(error!)".contains("latin9x") && "\(error!)".contains("bcfg2.conf"), "\(error!)")
  }
}
