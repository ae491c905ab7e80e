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

/// A temporary folder, a monitor that looks when it is asked, and the log.
private final class Fixture {
  let folder = TemporaryDirectory()
  let monitor = ComparingMonitor()
  let log = LogRecorder(level: .debug)
  var logger: Logger { log.logger }

  func write(_ text: String, _ path: String) {
    folder.write(text, to: path)
    monitor.processPending()
  }
}

@Test func aBrokenFileKeepsItsLastGoodVersionAndIsLoggedOnce() throws {
  let fixture = Fixture()
  let path = fixture.folder.write("<A v='1'/>", to: "a.xml")
  let file = XMLFileBacked(path: path, monitor: fixture.monitor, logger: fixture.logger)
  var changes = 0
  file.onChange = { changes += 1 }
  file.watch()
  #expect(file.root?["v"] == "1" && changes == 1)
  fixture.write("<A>\n<b", "a.xml")
  fixture.write("<A> \n<b", "a.xml")
  #expect(file.root?["v"] == "1" && changes == 1)
  let errors = fixture.log.lines.filter { $0.hasPrefix("error") }
  #expect(errors.count == 1 && errors[0].hasPrefix("error \(path):2: "))
  fixture.write("<A v='2'/>", "a.xml")
  #expect(file.root?["v"] == "2" && changes == 2)
  unlink(path)
  fixture.monitor.processPending()
  #expect(file.root?["v"] == "2")
}

@Test func aMissingFileIsCreatedWithItsTopTag() {
  let fixture = Fixture()
  let path = fixture.folder.file("groups.xml")
  let file = XMLFileBacked(path: path, monitor: fixture.monitor, logger: fixture.logger, creatingTopTag: "Groups")
  file.watch()
  #expect(file.root?.tag == "Groups")
  #expect(fixture.log.lines == ["warning \(path) does not exist, creating"])
}

@Test func includedFilesAreWatchedWhereverTheyAre() throws {
  let fixture = Fixture()
  fixture.folder.write("<One/>", to: "other/one.inc")
  fixture.folder.write("<P/>", to: "parts/a.xml")
  let path = fixture.folder.write(
    """
    <A \(xi)><xi:include href="../other/one.inc"/><xi:include href="../other/later.inc"/>\
    <xi:include href="../parts/*.xml"/></A>
    """, to: "main/a.xml")
  let file = XMLFileBacked(path: path, monitor: fixture.monitor, logger: fixture.logger)
  file.watch()
  func tags() -> [String] { file.root?.children.map(\.tag) ?? [] }
  #expect(tags() == ["One", "P"])
  #expect(fixture.log.lines == ["error \(path):1: ../other/later.inc does not exist, skipping"])
  fixture.write("<Two/>", "other/one.inc")
  #expect(tags() == ["Two", "P"])
  fixture.write("<Later/>", "other/later.inc")
  #expect(tags() == ["Two", "Later", "P"])
  fixture.write("<Q/>", "parts/b.xml")
  #expect(tags() == ["Two", "Later", "P", "Q"])
  fixture.write("<Q/", "parts/b.xml")
  #expect(tags() == ["Two", "Later", "P", "Q"])
  fixture.write("<R/>", "parts/b.xml")
  #expect(tags() == ["Two", "Later", "P", "R"])
  unlink(fixture.folder.file("parts/a.xml"))
  fixture.monitor.processPending()
  #expect(tags() == ["Two", "Later", "R"])
  var changes = 0
  file.onChange = { changes += 1 }
  fixture.write("not included", "parts/readme")
  #expect(changes == 0)
}

@Test func aFolderHasAChildForEachFittingFile() throws {
  let fixture = Fixture()
  fixture.folder.write("<A/>", to: "d/a.xml")
  fixture.folder.write("<B/>", to: "d/sub/b.xml")
  fixture.folder.write("x", to: "d/readme")
  let directory = DirectoryBacked(
    folder: fixture.folder.file("d"), monitor: fixture.monitor, logger: fixture.logger,
    fits: DirectoryBacked<StructFile>.isXMLName
  ) { [fixture] in StructFile(path: $0, monitor: fixture.monitor, logger: fixture.logger) }
  var changes = 0
  directory.onChange = { changes += 1 }
  directory.watch()
  #expect(directory.children.map { $0.root?.tag } == ["A", "B"] && changes == 1)
  #expect(fixture.log.lines == ["warning Could not process filename \(fixture.folder.file("d/readme")); ignoring"])
  fixture.folder.write("<A2/>", to: "d/a.xml")
  fixture.write("<C/>", "d/c.xml")
  #expect(directory.children.map { $0.root?.tag } == ["A2", "C", "B"] && changes == 2)
  rename(fixture.folder.file("d/sub"), fixture.folder.file("gone"))
  fixture.monitor.processPending()
  #expect(directory.entries.keys.sorted() == ["a.xml", "c.xml"] && changes == 3)
}

@Test func aFileThatGoesLeavesThoseOfOtherBytes() {
  let fixture = Fixture()
  let (composed, decomposed) = ("caf\u{E9}.xml", "cafe\u{301}.xml")
  fixture.folder.write("<A/>", to: "d/\(composed)")
  fixture.folder.write("<B/>", to: "d/\(decomposed)")
  let directory = DirectoryBacked(
    folder: fixture.folder.file("d"), monitor: fixture.monitor, logger: fixture.logger,
    fits: DirectoryBacked<StructFile>.isXMLName
  ) { [fixture] in StructFile(path: $0, monitor: fixture.monitor, logger: fixture.logger) }
  directory.watch()
  #expect(directory.entries.count == 2)
  unlink(fixture.folder.file("d/\(decomposed)"))
  fixture.monitor.processPending()
  #expect(directory.children.map { $0.root?.tag } == ["A"])
  #expect(RepositoryPath.isSameOrBelow("a/b", "a") && RepositoryPath.isSameOrBelow("a", "a"))
  #expect(!RepositoryPath.isSameOrBelow("ab", "a") && RepositoryPath.isSameOrBelow("ab", ""))
}

@Test func infoXMLBindsTheFirstThatApplies() throws {
  let fixture = Fixture()
  let path = fixture.folder.write(
    """
    <FileInfo><Group name="web"><Info mode="0600" owner="w"/></Group>
    <Path name="/a"><Info group="path"/></Path><Path name="/a" negate="true"><Info group="other"/></Path></FileInfo>
    """, to: "info.xml")
  let info = InfoXML(path: path, monitor: fixture.monitor, logger: fixture.logger)
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
  #expect(fixture.log.lines == ["warning Multiple file metadata found in \(path) for /b"])
  fixture.write("<FileInfo/>", "info.xml")
  #expect(throws: PluginExecutionError.self) { try info.bindEntry(Element("Path", ["name": "/a"]), clientMetadata()) }
}

@Test func aBogusPriorityIsNamedWithItsLine() {
  let fixture = Fixture()
  fixture.folder.write("\n<Rules priority=\"high\"><Package name=\"x\" type=\"t\"/></Rules>", to: "r/a.xml")
  let rules = PriorityDirectory(
    folder: fixture.folder.file("r"), rootTags: ["Rules"], monitor: fixture.monitor, logger: fixture.logger,
    compatibility: .v1_4, usesRegex: false, replacesName: false)
  let path = fixture.folder.file("r/a.xml")
  #expect(fixture.log.lines == ["error \(path):2: Got bogus priority high for file \(path)"])
  #expect(rules.handles(Element("Package", ["name": "x"]), clientMetadata()))
}
