import CoreSupport
import Identity
import Plugins
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core

/// Structures that a plugin adds, made from notes on the others.
@Suite struct AddedStructuresTests {
  /// Adds one structure with the names of all packages, after it took `<Gone>` elements out of the others.
  private final class Lister: Plugin, AddedStructures {
    override class var name: String { "Lister" }
    override class var createsFolder: Bool { false }
    var added = 0
    var fails = false

    func note(_ structure: Element, _ metadata: ClientMetadata) -> StructureNote? {
      structure.children.removeAll { $0.tag == "Gone" }
      let names = structure.children(tagged: "BoundPackage").compactMap(\.name)
      return names.isEmpty ? nil : StructureNote(names)
    }

    func addedStructures(_ notes: [StructureNote], _ metadata: ClientMetadata) throws -> [Element] {
      added += 1
      if fails { throw Boom() }
      let structure = Element("Independent", ["name": "list"])
      let names = notes.flatMap { $0.value as? [String] ?? [] }
      let suffix = metadata.isMember(of: "loud") ? "!" : ""
      structure.append("BoundList", ["name": names.joined(separator: ",") + suffix])
      return [structure]
    }
  }

  /// Adds a name to every structure that it sees, and notes those names.
  private final class Marker: Plugin, AddedStructures {
    override class var name: String { "Marker" }
    override class var createsFolder: Bool { false }

    func note(_ structure: Element, _ metadata: ClientMetadata) -> StructureNote? {
      structure.append("BoundMark", ["name": "m"])
      return StructureNote(structure.name)
    }

    func addedStructures(_ notes: [StructureNote], _ metadata: ClientMetadata) -> [Element] {
      [Element("Independent", ["name": "seen", "of": "\(notes.count)"])]
    }
  }

  private static func bundle(_ packages: [String], _ rest: String = "") -> String {
    "<Bundle>\(packages.map { "<BoundPackage name='\($0)'/>" }.joined())<Gone/>\(rest)</Bundle>"
  }

  private static let files = [
    "Metadata/groups.xml": """
    <Groups><Group name='base' profile='true'><Bundle name='a'/><Bundle name='b'/></Group>
    <Client name='two'><Group name='loud'/></Client><Group name='loud'/></Groups>
    """,
    "Metadata/clients.xml":
      "<Clients>\(["one", "two", "three"].map { "<Client name='\($0)' profile='base'/>" }.joined())</Clients>",
    "Bundler/a.xml": bundle(["p", "q"]), "Bundler/b.xml": bundle(["r"]),
  ]

  private static func run(_ body: (RepositoryFixture, Lister) async throws -> Void) async throws {
    try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings()) { fixture async throws in
      fixture.core.initPlugin(Lister.self)
      try await body(fixture, fixture.plugin(Lister.self))
    }
  }

  private static func answer(_ fixture: RepositoryFixture, _ client: String) async throws -> String {
    fixture.monitor.processPending()
    let client = ClientName(unchecked: client)
    let text = String(decoding: try await fixture.core.composeConfiguration(client).document.bytes(), as: UTF8.self)
    let whole = try await fixture.core.buildConfiguration(client)
    #expect(text == String(decoding: WireWriter.document(whole).bytes(), as: UTF8.self))
    return text
  }

  @Test func anEditThatLeavesTheNoteMakesTheOtherStructureAlone() async throws {
    try await Self.run { fixture, lister async throws in
      #expect(fixture.core.interfaces.namedStructures != nil)
      #expect(try await Self.answer(fixture, "one").contains("\"p,q,r\""))
      #expect(try await Self.answer(fixture, "two").contains("\"p,q,r!\""))
      // Each answer was made twice: from parts, and as a whole.
      #expect(lister.added == 4 && fixture.core.answerCache.partCount == 4)
      #expect(try await Self.answer(fixture, "three").contains("\"p,q,r\""))
      #expect(lister.added == 5 && fixture.core.answerCache.partCount == 4)

      let made = fixture.core.answerCache.counts[.structures]?.made
      fixture.edit("Bundler/a.xml", Self.bundle(["p", "q"], "<BoundPath name='/x'/>"))
      #expect(try await Self.answer(fixture, "one").contains("/x"))
      #expect(lister.added == 6 && fixture.core.answerCache.counts[.structures]?.made == (made ?? 0) + 1)

      fixture.edit("Bundler/a.xml", Self.bundle(["p"]))
      #expect(try await Self.answer(fixture, "one").contains("\"p,r\""))
      #expect(lister.added == 8)
      let text = try await Self.answer(fixture, "two")
      #expect(text.contains("\"p,r!\"") && !text.contains("Gone"))
    }
  }

  @Test func eachPluginSeesWhatEarlierOnesAdded() async throws {
    try await Self.run { fixture, _ async throws in
      fixture.core.initPlugin(Marker.self)
      let text = try await Self.answer(fixture, "one")
      #expect(text.contains("of=\"3\"") && text.split(separator: "Mark ").count == 4)
      #expect(try await Self.answer(fixture, "three") == text)
    }
  }

  @Test func aFailureIsLoggedAndNotKept() async throws {
    try await Self.run { fixture, lister async throws in
      lister.fails = true
      #expect(!(try await Self.answer(fixture, "one").contains("Independent")))
      #expect(fixture.log.lines.contains { $0.contains("Lister: unexpected structure validation failure: boom") })
      lister.fails = false
      #expect(try await Self.answer(fixture, "one").contains("\"p,q,r\""))
    }
  }
}
