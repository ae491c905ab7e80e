import Glibc
import Support
import Testing

@testable import Repository

struct FileMonitorRandomTests {
  /// xorshift64: the same edits in every run.
  private struct Chance: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }

  /// Edits of a small tree, inside and outside of what is monitored; most calls fail, which is no matter.
  private static func edit(_ directory: TemporaryDirectory, _ chance: inout Chance) {
    let folders = ["repo", "out", "repo/d", "repo/e", "repo/d/e", "out/d", "repo/l", "repo/d/l", "out/d/e"]
    let names = ["a", "b", "d", "e", "l"]
    func path() -> String {
      directory.file(folders.randomElement(using: &chance)! + "/" + names.randomElement(using: &chance)!)
    }
    let (one, two) = (path(), path())
    switch Int.random(in: 0..<16, using: &chance) {
    case 0...3:
      let file = open(one, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
      if file >= 0 {
        write(file, "\(Int.random(in: 0...9, using: &chance))", 1)
        close(file)
      }
    case 4...6: mkdir(one, 0o755)
    case 7...9: rename(one, two)
    case 10: unlink(one)
    case 11: rmdir(one)
    case 12: symlink(names.randomElement(using: &chance)!, one)
    case 13: symlink("../" + names.randomElement(using: &chance)!, one)
    case 14: symlink(two, one)
    default: chmod(one, 0o755)
    }
  }

  /// Paths that stay as they were read.
  private static func kept(_ node: FileNode) -> [String] {
    (node.trouble == nil ? [] : [node.relativePath]) + (node.folder?.children.values.flatMap { kept($0) } ?? [])
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func theModelEqualsAFreshScanAfterAnyEdits(seed: UInt64) throws {
    var chance = Chance(state: seed &* 0x9E37_79B9_7F4A_7C15)
    let folder = try MonitoredFolder()
    folder.monitor.repository = folder.directory.path
    let others = try ScriptedWatchSource.Fault.allCases.map {
      try MonitoredFolder(sharing: folder.directory, fault: $0)
    }
    for other in others { other.monitor.repository = folder.directory.path }
    for _ in 0..<60 {
      for _ in 0..<Int.random(in: 1...12, using: &chance) { FileMonitorRandomTests.edit(folder.directory, &chance) }
      for one in [folder] + others {
        one.monitor.processPending()
        // A loop of links leads nowhere, but nothing says that what was there is deleted.
        let kept = one.monitor.trees.flatMap { Self.kept($0.root) }
        func isCompared(_ path: String) -> Bool { !kept.contains { path == $0 || path.hasPrefix($0 + "/") } }
        let scan = FileMonitorModel.scan(folder.root).filter { isCompared($0.key) }
        try #require(one.model.known.filter { isCompared($0.key) } == scan, "\(one.source.fault)")
        try #require(one.model.faults == [], "\(one.source.fault)")
      }
    }
    folder.monitor.remove(nil, handler: folder.model)
    #expect(folder.monitor.context.watches.all.isEmpty && folder.monitor.context.unwatched.isEmpty)
    #expect(folder.monitor.troubles.isEmpty)
  }
}
