import CoreSupport
import Glibc
import Logging
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core

private let xi = "xmlns:xi=\"http://www.w3.org/2001/XInclude\""

/// Files on a disk, a monitor that is told to look, and what was logged.
private final class Bench {
  let folder = TemporaryDirectory()
  let monitor = ComparingMonitor()
  let lines = LogLines()
  let logger: Logger

  init() {
    let lines = lines
    logger = Logger(label: "test") { _ in LinesHandler(lines: lines) }
  }

  func write(_ text: String, _ path: String) {
    folder.write(text, to: path)
    monitor.processPending()
  }
}

private nonisolated final class LogLines: @unchecked Sendable {
  var lines: [String] = []
}

private nonisolated struct LinesHandler: LogHandler {
  let lines: LogLines
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.debug

  init(lines: LogLines) { self.lines = lines }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) { lines.lines.append("\(event.level) \(event.message)") }
}

@Test func aBrokenFileKeepsItsLastGoodVersionAndIsLoggedOnce() throws {
  let bench = Bench()
  let path = bench.folder.write("<A v='1'/>", to: "a.xml")
  let file = XMLFileBacked(path: path, monitor: bench.monitor, logger: bench.logger)
  var changes = 0
  file.onChange = { changes += 1 }
  file.watch()
  #expect(file.root?["v"] == "1" && changes == 1)
  bench.write("<A>\n<b", "a.xml")
  bench.write("<A> \n<b", "a.xml")
  #expect(file.root?["v"] == "1" && changes == 1)
  let errors = bench.lines.lines.filter { $0.hasPrefix("error") }
  #expect(errors.count == 1 && errors[0].hasPrefix("error \(path):2: "))
  bench.write("<A v='2'/>", "a.xml")
  #expect(file.root?["v"] == "2" && changes == 2)
  unlink(path)
  bench.monitor.processPending()
  #expect(file.root?["v"] == "2")
}

@Test func aMissingFileIsCreatedWithItsTopTag() {
  let bench = Bench()
  let path = bench.folder.file("groups.xml")
  let file = XMLFileBacked(path: path, monitor: bench.monitor, logger: bench.logger, creatingTopTag: "Groups")
  file.watch()
  #expect(file.root?.tag == "Groups")
  #expect(bench.lines.lines == ["warning \(path) does not exist, creating"])
}

@Test func includedFilesAreWatchedWhereverTheyAre() throws {
  let bench = Bench()
  bench.folder.write("<One/>", to: "other/one.inc")
  bench.folder.write("<P/>", to: "parts/a.xml")
  let path = bench.folder.write(
    """
    <A \(xi)><xi:include href="../other/one.inc"/><xi:include href="../other/later.inc"/>\
    <xi:include href="../parts/*.xml"/></A>
    """, to: "main/a.xml")
  let file = XMLFileBacked(path: path, monitor: bench.monitor, logger: bench.logger)
  file.watch()
  func tags() -> [String] { file.root?.children.map(\.tag) ?? [] }
  #expect(tags() == ["One", "P"])
  #expect(bench.lines.lines == ["error \(path):1: ../other/later.inc does not exist, skipping"])
  bench.write("<Two/>", "other/one.inc")
  #expect(tags() == ["Two", "P"])
  bench.write("<Later/>", "other/later.inc")
  #expect(tags() == ["Two", "Later", "P"])
  bench.write("<Q/>", "parts/b.xml")
  #expect(tags() == ["Two", "Later", "P", "Q"])
  bench.write("<Q/", "parts/b.xml")
  #expect(tags() == ["Two", "Later", "P", "Q"])
  bench.write("<R/>", "parts/b.xml")
  #expect(tags() == ["Two", "Later", "P", "R"])
  unlink(bench.folder.file("parts/a.xml"))
  bench.monitor.processPending()
  #expect(tags() == ["Two", "Later", "R"])
  var changes = 0
  file.onChange = { changes += 1 }
  bench.write("not included", "parts/readme")
  #expect(changes == 0)
}

@Test func aFolderHasAChildForEachFittingFile() throws {
  let bench = Bench()
  bench.folder.write("<A/>", to: "d/a.xml")
  bench.folder.write("<B/>", to: "d/sub/b.xml")
  bench.folder.write("x", to: "d/readme")
  let directory = DirectoryBacked(
    folder: bench.folder.file("d"), monitor: bench.monitor, logger: bench.logger,
    fits: DirectoryBacked<StructFile>.isXMLName
  ) { [bench] in StructFile(path: $0, monitor: bench.monitor, logger: bench.logger) }
  var changes = 0
  directory.onChange = { changes += 1 }
  directory.watch()
  #expect(directory.children.map { $0.root?.tag } == ["A", "B"] && changes == 1)
  #expect(bench.lines.lines == ["warning Could not process filename \(bench.folder.file("d/readme")); ignoring"])
  bench.folder.write("<A2/>", to: "d/a.xml")
  bench.write("<C/>", "d/c.xml")
  #expect(directory.children.map { $0.root?.tag } == ["A2", "C", "B"] && changes == 2)
  rename(bench.folder.file("d/sub"), bench.folder.file("gone"))
  bench.monitor.processPending()
  #expect(directory.entries.keys.sorted() == ["a.xml", "c.xml"] && changes == 3)
}

@Test func aFileThatGoesLeavesThoseOfOtherBytes() {
  let bench = Bench()
  let (composed, decomposed) = ("caf\u{E9}.xml", "cafe\u{301}.xml")
  bench.folder.write("<A/>", to: "d/\(composed)")
  bench.folder.write("<B/>", to: "d/\(decomposed)")
  let directory = DirectoryBacked(
    folder: bench.folder.file("d"), monitor: bench.monitor, logger: bench.logger,
    fits: DirectoryBacked<StructFile>.isXMLName
  ) { [bench] in StructFile(path: $0, monitor: bench.monitor, logger: bench.logger) }
  directory.watch()
  #expect(directory.entries.count == 2)
  unlink(bench.folder.file("d/\(decomposed)"))
  bench.monitor.processPending()
  #expect(directory.children.map { $0.root?.tag } == ["A"])
  #expect(RepositoryPath.isSameOrBelow("a/b", "a") && RepositoryPath.isSameOrBelow("a", "a"))
  #expect(!RepositoryPath.isSameOrBelow("ab", "a") && RepositoryPath.isSameOrBelow("ab", ""))
}

@Test func infoXMLBindsTheFirstThatApplies() throws {
  let bench = Bench()
  let path = bench.folder.write(
    """
    <FileInfo><Group name="web"><Info mode="0600" owner="w"/></Group>
    <Path name="/a"><Info group="path"/></Path><Path name="/a" negate="true"><Info group="other"/></Path></FileInfo>
    """, to: "info.xml")
  let info = InfoXML(path: path, monitor: bench.monitor, logger: bench.logger)
  info.watch()
  func bound(_ entry: Element, _ groups: NameSet) throws -> String {
    try info.bindEntry(entry, clientMetadata(groups: groups))
    return text(of: entry)
  }
  #expect(
    try bound(Element("Path", ["name": "/a", "mode": "1"]), []) == "<Path name=\"/a\" mode=\"1\" group=\"path\"/>")
  #expect(try bound(Element("Path", ["name": "/x", "realname": "/a"]), []).contains("group=\"path\""))
  #expect(try bound(Element("Path", ["name": "/b"]), []) == "<Path name=\"/b\" group=\"other\"/>")
  #expect(try bound(Element("Path", ["name": "/b"]), ["web"]) == "<Path name=\"/b\" mode=\"0600\" owner=\"w\"/>")
  #expect(bench.lines.lines == ["warning Multiple file metadata found in \(path) for /b"])
  bench.write("<FileInfo/>", "info.xml")
  #expect(throws: PluginExecutionError.self) { try info.bindEntry(Element("Path", ["name": "/a"]), clientMetadata()) }
}

@Test func aBogusPriorityIsNamedWithItsLine() {
  let bench = Bench()
  bench.folder.write("\n<Rules priority=\"high\"><Package name=\"x\" type=\"t\"/></Rules>", to: "r/a.xml")
  let rules = PriorityDirectory(
    folder: bench.folder.file("r"), rootTags: ["Rules"], monitor: bench.monitor, logger: bench.logger,
    compatibility: .bcfg214, usesRegex: false, replacesName: false)
  let path = bench.folder.file("r/a.xml")
  #expect(bench.lines.lines == ["error \(path):2: Got bogus priority high for file \(path)"])
  #expect(rules.handles(Element("Package", ["name": "x"]), clientMetadata()))
}
