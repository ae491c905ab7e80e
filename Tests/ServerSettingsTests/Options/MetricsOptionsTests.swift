import EventLoop
import ServerSettings
import Testing

@Suite nonisolated struct MetricsOptionsTests {
  private func find(_ listen: String?, allow: [String] = []) throws -> MonitoringPlace? {
    var settings = Settings()
    settings[MetricsOptions.standard.listen] = listen
    settings[MetricsOptions.standard.allow] = allow
    return try settings.monitoringPlace()
  }

  @Test(arguments: [
    ("127.0.0.1:9644", "127.0.0.1:9644"), ("[::1]:9644", "[::1]:9644"), ("localhost:1", "127.0.0.1:1"),
    ("127.9.8.7:0", "127.9.8.7:0"), ("/run/bcfg2-server/metrics.sock", "unix:/run/bcfg2-server/metrics.sock"),
  ])
  func addressesOfThisMachineAreServed(_ row: (text: String, address: String)) throws {
    #expect(try find(row.text)?.address.description == row.address)
  }

  @Test(arguments: [
    "9644", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:+1", "::1:9644", "[::1]", "[::1:1",
    "host.example:9644", "relative/path", ":9644", "https://127.0.0.1:9644", "/" + String(repeating: "x", count: 107),
    "[127.0.0.1]:9644",
  ])
  func otherTextIsRefusedWithWhatIsAllowed(_ text: String) {
    let error = #expect(throws: SettingsError.self) { try find(text) }
    #expect(error.map { "\($0)".contains("[metrics] listen") && "\($0)".contains("ADDRESS:PORT") } == true)
  }

  @Test func othersAskOnlyWhereTheyAreAllowed() throws {
    for text in ["0.0.0.0:9644", "[::]:9644", "192.0.2.1:9644"] {
      let error = #expect(throws: SettingsError.self) { try find(text) }
      #expect(error.map { "\($0)".contains("[metrics] allow") } == true)
    }
    let place = try #require(try find("0.0.0.0:9644", allow: ["192.0.2.0/24", "2001:db8::1"]))
    for (host, isAllowed) in [
      ("192.0.2.9", true), ("198.51.100.1", false), ("127.0.0.1", true), ("2001:db8::1", true), ("2001:db8::2", false),
      ("::1", true),
    ] {
      #expect(place.allows(try #require(SocketAddress(host: host, port: 4000))) == isAllowed, "\(host)")
    }
    #expect(place.allows(.unix("")))
    let error = #expect(throws: SettingsError.self) { try find(nil, allow: ["192.0.2.0/33"]) }
    #expect(error.map { "\($0)".contains("192.0.2.0/33") } == true)
  }

  @Test func nothingIsServedByDefault() throws {
    #expect(try find(nil) == nil && find("") == nil)
  }
}
