import Databases
import ReportRecords
import Testing

@testable import ReportStore

/// Columns of entries, from the attributes that clients send.
@Suite struct ItemTests {
  let reader = ItemReader(limits: TextLimits(engine: .sqlite), fileLimit: 20)

  /// The row's columns but name, state and exists, by name.
  private func columns(_ item: ReportedItem) throws -> [String: String] {
    guard case .row(let row) = reader.read(item) else { return [:] }
    var columns: [String: String] = [:]
    for (column, value) in zip(EntryColumns.of(row.kind), row.values) where !["name", "state"].contains(column.name) {
      columns[column.name] = value.asText ?? "null"
    }
    return columns
  }

  @Test func serviceAndActionHaveWhatClientsSend() throws {
    #expect(
      try columns(item("Service", ["name": "s", "status": "on", "current_status": "off", "current_exists": "false"]))
        == ["exists": "0", "target_status": "on", "current_status": "off"])
    #expect(try columns(item("Action", ["name": "a", "rc": "3"]))["output"] == "3")
    #expect(try columns(item("Action", ["name": "a", "rc": "none"]))["output"] == "-1")
    #expect(try columns(item("Action", ["name": "a"]))["status"] == "check")
  }

  @Test func extraPackageHasItsInstances() throws {
    func instance(_ version: String, _ release: String) -> ReportedItem.Child {
      ReportedItem.Child(
        tag: "Instance",
        attributes: [Attribute("version", version), Attribute("release", release), Attribute("arch", "i386")])
    }
    let extra = item("Package", .extra, ["name": "k"], children: [instance("1", "2"), instance("3", "")])
    #expect(try columns(extra)["current_version"] == "1-2.i386, 3.i386")
    #expect(
      try columns(item("Package", ["name": "p", "version": "1.2", "current_version": "1.0"])) == [
        "exists": "1", "target_version": "1.2", "current_version": "1.0", "verification_details": "",
      ])
  }

  @Test func usersHaveDefaults() throws {
    let dave = try columns(item("POSIXUser", ["name": "dave", "current_uid": "7"]))
    #expect(dave["uid"] == "7" && dave["home"] == "/home/dave" && dave["shell"] == "/bin/bash")
    #expect(dave["current_home"] == "null" && dave["gecos"] == "dave")
    #expect(try columns(item("POSIXUser", ["name": "root"]))["home"] == "/root")
    #expect(try columns(item("POSIXGroup", ["name": "g", "current_gid": "77"]))["gid"] == "77")
    #expect(try columns(item("POSIXGroup", ["name": "g", "gid": "many"]))["gid"] == "null")
  }

  @Test func entriesOfSELinuxWithoutAttributesAreKept() throws {
    #expect(try columns(item("SEBoolean", ["name": "b", "value": "off"]))["value"] == "0")
    #expect(try columns(item("SEBoolean", .extra, ["name": "b"]))["value"] == "1")
    #expect(
      try columns(item("SEPort", .extra, ["name": "22/tcp"])) == [
        "exists": "1", "selinuxtype": "", "current_selinuxtype": "null",
      ])
    #expect(try columns(item("SEFcontext", ["name": "/x"]))["filetype"] == "all")
    #expect(try columns(item("SEModule", ["name": "m", "current_disabled": "True"]))["current_disabled"] == "1")
  }

  @Test(
    arguments: [
      (["current_bfile": "AQI="], "2", "AQI="),
      (["current_bdiff": "LSBvbGQKKyBuZXcK"], "1", "- old\n+ new\n"),
      (["current_diff": "- a\n"], "1", "- a\n"),
      (["current_bdiff": "eA==", "sensitive": "True"], "3", ""),
      (["current_bfile": "0123456789012345678901"], "4", "8b50575826e6ab4102f1335396b29bba"),
      ([:], "0", ""),
    ] as [([String: String], String, String)])
  func pathHasItsDetails(_ attributes: [String: String], _ type: String, _ details: String) throws {
    var path = item("Path", ["name": "/f", "type": "File"])
    path.attributes += attributes.map { Attribute($0.key, $0.value) }
    let columns = try columns(path)
    #expect(columns["detail_type"] == type && columns["details"] == details && columns["path_type"] == "file")
  }

  @Test func prunedDirectoryNamesItsPaths() throws {
    let children = [("name", "/d/a"), ("path", "/d/b")].map {
      ReportedItem.Child(tag: "Prune", attributes: [Attribute($0.0, $0.1)])
    }
    let directory = item("Path", .bad, ["name": "/d", "type": "directory", "prune": "true"], children: children)
    #expect(try columns(directory)["details"] == "/d/a\n/d/b")
  }

  @Test func deviceIsSkipped() {
    guard case .skipped(let reason) = reader.read(item("Path", ["name": "/dev/x", "type": "device"])) else {
      Issue.record("stored")
      return
    }
    #expect(reason == "device path types are not supported yet")
  }

  @Test func longTextIsCutWhereTheEngineWouldRefuseIt() {
    let first = String(repeating: "ä", count: 200) + "1"
    let second = String(repeating: "ä", count: 200) + "2"
    let limits = TextLimits(engine: .postgresql)
    let cut = limits.fit(first, .varchar(128))
    #expect(cut.unicodeScalars.count == 128 && cut.hasPrefix("äää") && cut.contains("…"))
    #expect(limits.fit(second, .varchar(128)) != cut)
    #expect(limits.fit(first, .text) == first)
    #expect(TextLimits(engine: .sqlite).fit(first, .varchar(128)) == first)
    let path = String(repeating: "ä", count: TextLimits.longest)
    #expect(TextLimits(engine: .sqlite).fit(path, .varchar(32)) == path)
    #expect(TextLimits(engine: .sqlite).fit(path + first, .varchar(32)).unicodeScalars.count == TextLimits.longest)
    #expect(TextLimits(engine: .sqlite).fit(path + first, .text) == path + first)
    #expect(limits.fit("a\0b", .text) == "a\u{FFFD}b")
    #expect(limits.fit("ipv600", .varchar(4)) == "ipv6")
    #expect(TextLimits(engine: .mysql, characters: .basicPlane).fit("ä😀", .text) == "ä\u{FFFD}")
    #expect(TextLimits(engine: .mysql, characters: .ascii).fit("ä😀", .text) == "??")
    #expect(limits.fit(4_294_967_294) == nil && TextLimits(engine: .sqlite).fit(4_294_967_294) != nil)
  }

  @Test func digestsAreThoseOfTheirStandards() {
    #expect(md5([]) == "d41d8cd98f00b204e9800998ecf8427e")
    #expect(md5(Array("abc".utf8)) == "900150983cd24fb0d6963f7d28e17f72")
    let long = "12345678901234567890123456789012345678901234567890123456789012345678901234567890"
    #expect(md5(Array(long.utf8)) == "57edf4a22be3c955ac49da2e2107b67a")
    #expect(decodeBase64("aGVs\nbG8") == Array("hello".utf8))
  }

  @Test func cacheForgetsWhatWasNotUsed() {
    var cache = IDCache<Int>(limit: 4)
    for number in 1...3 { cache[number] = Int64(number) }
    #expect(cache[1] == 1)
    for number in 4...6 { cache[number] = Int64(number) }
    #expect(cache.count <= 5 && cache[2] == nil && cache[6] == 6)
  }
}
