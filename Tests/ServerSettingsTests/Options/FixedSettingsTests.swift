import EventLoop
import ServerSettings
import Support
import Testing

struct FixedSettingsTests {
  private func settings(_ text: String) throws -> Settings {
    try Settings(try INIFile(bytes: Array(text.utf8), path: "/etc/bcfg2.conf"), registry: .server)
  }

  @Test func whatCannotChangeStaysAndIsToldWithItsLineAndReason() throws {
    let running = try settings(
      "[server]\nrepository = /one\nplugins = Metadata\nuser = 1\n[communication]\npassword = a\n")
    let fresh = try settings(
      """
      [server]
      repository = /two
      plugins = Metadata,Cfg
      user = 2
      listen_all = yes
      [communication]
      password = b
      [components]
      bcfg2 = https://localhost:1234

      """)
    let (adapted, notices) = fresh.adapted(to: running)
    #expect(
      notices == [
        "/etc/bcfg2.conf:2: [server] repository changes at the next start only: the repository is watched since the start",
        "/etc/bcfg2.conf:3: [server] plugins changes at the next start only: plugins are loaded at the start",
        "/etc/bcfg2.conf:5: [server] listen_all changes at the next start only: "
          + "the sockets were bound at the start, with the privileges for it",
        "/etc/bcfg2.conf:4: [server] user changes at the next start only: privileges were given up at the start",
        "default: [server] vcs_root changes at the next start only: plugins are loaded at the start",
        "/etc/bcfg2.conf:9: [components] bcfg2 changes at the next start only: "
          + "the sockets were bound at the start, with the privileges for it",
        // The path of the database follows the repository's.
        "default: [database] name changes at the next start only: the database is opened once",
      ])
    #expect(adapted.password == "b" && adapted.repository == "/one" && adapted.plugins == ["Metadata"])
    #expect(adapted.user == 1 && !adapted.listensOnAll && adapted.location.port == 6789)
    #expect(adapted.value("server", "repository")?.value.text == "/one")
    #expect(adapted.value("server", "listen_all")?.value.boolean == false)
    // The next reload compares with the running settings again, and tells again.
    #expect(fresh.adapted(to: adapted).notices == notices)
    #expect(running.adapted(to: running).notices.isEmpty)
  }
}
