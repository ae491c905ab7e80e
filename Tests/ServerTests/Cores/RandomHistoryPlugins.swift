import EventLoop
import Repository

@testable import Core
@testable import Plugins

/// The revision is the text of a file that no other plugin reads, as that of a commit without changes.
final class RevisionFile: VersionPlugin {
  static let file = "revision"
  override class var name: String { "RevisionFile" }

  override var revisionFiles: [String] { ["\(root)/\(Self.file)"] }

  override func getRevision() async throws -> String {
    await core.loop.nextIteration()
    return String(decoding: try AtomicFile.readFile("\(root)/\(Self.file)", limitBytes: 100), as: UTF8.self)
  }
}

/// Binds an entry to a number that changes without notice, as a plugin does that asks another program.
final class Clock: Plugin, Generator {
  static let entry = "/clock"
  static var time = 0
  override class var name: String { "Clock" }
  override class var createsFolder: Bool { false }

  func binder(tag: String, name: String) -> EntryBinder? {
    guard tag == "Path", name == Self.entry else { return nil }
    return .now { entry, metadata in
      metadata.markUncacheable()
      entry["type"] = "file"
      entry.text = "\(Self.time)"
    }
  }
}
