import PackageSources
import Support
import Testing

/// An index with two parts, a package in two versions, a virtual one, a file and a group.
private func sample() throws -> [UInt8] {
  var builder = try IndexBuilder(key: Array("key".utf8))
  let amd64 = try builder.text("amd64")
  for component in ["main", "universe"] {
    builder.beginPart(component: try builder.text(component), arch: amd64, made: 7)
    for version in ["1.0", "1:0.9"] {
      let name = try builder.text(component == "main" ? "app" : "tool")
      _ = try builder.beginRecord(name: name, version: try builder.text(version), arch: amd64)
      try builder.addRelation(.depends, name: try builder.text("liba"), flags: .orNext)
      try builder.addRelation(
        .depends, name: try builder.text("libb"), comparison: .greaterOrEqual, version: try builder.text("2"),
        qualifier: try builder.text("any"))
      try builder.addProvide(name: try builder.text("mail"), comparison: .equal, version: try builder.text("3"))
    }
    builder.setFlags([.isEssential, .saysEssential])
  }
  try builder.addFile(try builder.text("/bin/sh"), of: RecordID(0))
  builder.setFlags(.isHidden, of: RecordID(1))
  builder.addGroup(id: try builder.text("base"), name: try builder.text("Base"))
  try builder.addMember(try builder.text("app"), .mandatory)
  try builder.addMember(try builder.text("tool"), .conditional, requires: try builder.text("app"))
  try builder.addFact("suite", Array("stable".utf8))
  return try builder.finish(time: 1_700_000_000)
}

@Suite struct PackageIndexTests {
  @Test func whatTheBuilderGotIsThere() throws {
    let index = try PackageIndex(bytes: sample())
    #expect(index.time == 1_700_000_000)
    #expect(index.isIntact())
    #expect(index.fact("suite") == Array("stable".utf8))
    #expect(index.fact("app") == nil)
    #expect(index.partCount == 2)
    let part = try #require(index.part(1))
    #expect(index.string(of: part.component) == "universe")
    #expect(part.records == 2..<4)
    #expect(part.made == 7)
    let app = try #require(index.find("app"))
    #expect(index.records(named: app).map(\.number) == [0, 1])
    let record = try #require(index.record(RecordID(1)))
    #expect(index.string(of: record.version) == "1:0.9")
    #expect(record.flags == [.isHidden, .isEssential, .saysEssential])
    #expect(record.part == 0)
    let relations = record.relations.compactMap { index.relation($0) }
    #expect(relations.map { index.string(of: $0.name) } == ["liba", "libb"])
    #expect(relations[0].flags == .orNext)
    #expect(relations[1].comparison == .greaterOrEqual)
    #expect(index.string(of: relations[1].version) == "2")
    #expect(index.string(of: relations[1].qualifier) == "any")
    #expect(index.essentials.map(\.number) == [1, 3])
    let mail = try #require(index.find("mail"))
    #expect(index.providers(of: mail).compactMap { index.provide($0)?.record.number } == [0, 1, 2, 3])
    let shell = try #require(index.find("/bin/sh"))
    let owners = index.providers(of: shell).compactMap { index.provide($0) }
    #expect(owners.map(\.record.number) == [0])
    #expect(owners.map(\.flags) == [.isFile])
    #expect(record.provides.compactMap { index.provide($0)?.name } == [mail])
    let group = try #require(index.group(0))
    #expect(index.string(of: group.name) == "Base")
    #expect(group.members.compactMap { index.member($0)?.kind } == [.mandatory, .conditional])
    #expect(index.find("nothing") == nil)
    #expect(index.find("") == TextID.none)
  }

  @Test(arguments: [
    (\IndexLimits.packages, "packages"), (\.rows, "relations"), (\.members, "members of groups"), (\.texts, "names"),
    (\.textBytes, "names"),
  ])
  func aHostileMirrorMeetsABound(_ limit: any WritableKeyPath<IndexLimits, Int> & Sendable, _ table: String) throws {
    var limits = IndexLimits()
    limits[keyPath: limit] = 20
    let error = #expect(throws: IndexBuildError.self) {
      var builder = try IndexBuilder(key: [], limits: limits)
      builder.beginPart(component: .none, arch: .none)
      builder.addGroup(id: .none, name: .none)
      for number in 0..<100 {
        let name = limit == \.texts || limit == \.textBytes ? try builder.text("n\(number)") : try builder.text("name")
        _ = try builder.beginRecord(name: name, version: .none, arch: .none)
        try builder.addRelation(.depends, name: name)
        try builder.addMember(name, .mandatory)
      }
    }
    #expect(error?.description == "the index has too many \(table)")
  }

  @Test func manyTextsAreFound() throws {
    var builder = try IndexBuilder(key: [])
    let ids = try (0..<20_000).map { try builder.text("text \($0)") }
    #expect(try builder.text("text 77") == ids[77])
    let index = try PackageIndex(bytes: builder.finish(time: 0))
    for number in stride(from: 0, to: 20_000, by: 7) { #expect(index.find("text \(number)") == ids[number]) }
    #expect(index.find("text 20000") == nil)
  }

  @Test func aMappedFileIsThatOfItsSource() throws {
    let folder = TemporaryDirectory()
    let path = folder.write(try sample(), to: "index")
    #expect(try PackageIndex(path: path, key: Array("key".utf8)).recordCount == 4)
    #expect(throws: IndexOpenError.self) { try PackageIndex(path: path, key: Array("other".utf8)) }
    let missing = #expect(throws: IndexOpenError.self) { try PackageIndex(path: "\(path).missing") }
    #expect(missing?.isMissing == true)
  }

  /// Every byte of header, tables and texts is changed in turn: the file is refused, or read without a trap.
  @Test func damagedFilesEndNoProcess() throws {
    let bytes = try sample()
    for place in bytes.indices {
      for value in [UInt8(0), 0x7f, 0xff] where bytes[place] != value {
        var damaged = bytes
        damaged[place] = value
        guard let index = try? PackageIndex(bytes: damaged) else { continue }
        if place >= 40 { #expect(!index.isIntact(), "byte \(place)") }
        readEverything(of: index)
      }
    }
    for length in 0..<bytes.count {
      #expect(throws: IndexOpenError.self) { try PackageIndex(bytes: Array(bytes[..<length])) }
    }
  }

  private func readEverything(of index: PackageIndex) {
    for row in 0..<index.partCount { _ = index.part(row) }
    for number in 0..<UInt32(index.recordCount) {
      guard let record = index.record(RecordID(number)) else { continue }
      for row in record.relations { _ = index.relation(row).map { index.string(of: $0.name) } }
      for row in record.provides { _ = index.provide(row).flatMap { index.record($0.record) } }
      _ = index.records(named: record.name).compactMap { index.record($0) }
      _ = index.string(of: record.version)
    }
    for text in 0..<UInt32(clamping: min(index.textCount, 100)) {
      _ = index.providers(of: TextID(text)).compactMap { index.provide($0) }
    }
    for row in 0..<index.groupCount { _ = index.group(row)?.members.compactMap { index.member($0) } }
    for name in ["app", "liba", "mail", "nothing"] { _ = index.find(name) }
    _ = index.essentials.compactMap { index.record($0) }
  }
}
