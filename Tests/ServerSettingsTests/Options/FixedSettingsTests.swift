import EventLoop
import ServerSettings
import Support
import Testing

struct FixedSettingsTests {
  private func settings(_ text: String) throws -> Settings {
    try Settings(try INIFile(bytes: Array(text.utf8), path: "/etc/bcfg2.conf"))
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
      ])
    #expect(adapted.password == "b" && adapted.repository == "/one" && adapted.plugins == ["Metadata"])
    #expect(adapted.user == 1 && !adapted.listensOnAll && adapted.location.port == 6789)
    #expect(adapted.value("server", "repository")?.value.text == "/one")
    #expect(adapted.value("server", "listen_all")?.value.boolean == false)
    // The next reload compares with the running settings again, and tells again.
    #expect(fresh.adapted(to: adapted).notices == notices)
    #expect(running.adapted(to: running).notices.isEmpty)
  }

  @Test func theLayoutOfProbeDataIsNamedWhereItChanges() throws {
    let running = try settings("[probes]\nlayout = client\n")
    let (adapted, notices) = try settings("[probes]\nlayout = file\n").adapted(to: running)
    #expect(
      notices == [
        "/etc/bcfg2.conf:2: [probes] layout changes at the next start only: data was brought into this form at the start"
      ])
    #expect(adapted.probesLayout == "client")
  }

  @Test func eachFixedSettingExistsAndIsInThePage() throws {
    let page = String(
      decoding: try RegularFile.read("\(Project.root)/docs/configuration.md", limitBytes: 1 << 20), as: UTF8.self)
    for (section, option, reason) in Settings.fixed {
      #expect(SettingRegistry.standard.definition(section, option)?.option == option, "[\(section)] \(option)")
      let isThere = page.contains("| `[\(section)] \(option)` | \(reason.rawValue) |\n")
      #expect(isThere, "[\(section)] \(option)")
    }
    #expect(page.split(separator: "\n").count { $0.hasPrefix("| `[") } == Settings.fixed.count)
  }
}
