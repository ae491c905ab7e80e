import Glibc
import Repository
import Testing

struct FileMonitorTests {
  /// What is there before, what is done, and the events that come of it.
  nonisolated struct Row: CustomTestStringConvertible, Sendable {
    let setup: String
    let edit: String
    let events: [String]
    /// What is monitored, or a link in it leads to, is not there afterwards, and was not deleted.
    let isAway: Bool
    var testDescription: String { edit }

    init(_ setup: String, _ edit: String, _ events: [String], isAway: Bool = false) {
      self.setup = setup
      self.edit = edit
      self.events = events
      self.isAway = isAway
    }
  }

  nonisolated static let rows: [Row] = [
    // Files.
    Row("", "echo 1 > repo/a", ["created a"]),
    Row("", ": > repo/a", ["created a"]),
    Row("", "echo 1 > repo/a; echo 2 > repo/a; touch repo/a", ["created a"]),
    Row("", "echo 1 > repo/a; rm repo/a", []),
    Row("echo 1 > repo/a", "echo 2 > repo/a", ["changed a"]),
    Row("echo 1 > repo/a", "echo 2 >> repo/a", ["changed a"]),
    Row("echo 1 > repo/a", ": > repo/a", ["changed a"]),
    Row("echo 123 > repo/a", "truncate -s 1 repo/a", ["changed a"]),
    Row("echo 1 > repo/a; touch -d @1000 repo/a", "echo 2 > repo/a; touch -d @1000 repo/a", ["changed a"]),
    Row("echo 1 > repo/a", "rm repo/a", ["deleted a"]),
    Row("echo 1 > repo/a", "rm repo/a; echo 2 > repo/a", ["changed a"]),
    Row("echo 1 > repo/a", "rm repo/a; echo 1 > repo/a; rm repo/a", ["deleted a"]),
    Row("echo 1 > repo/a", "touch -d @1000 repo/a", ["changed a"]),
    Row("echo 1 > repo/a", "chmod 600 repo/a", ["changed a"]),
    Row("echo 1 > repo/a", "cat repo/a > out/b", []),
    Row("echo 1 > repo/a", "echo 2 > out/n; mv out/n repo/a", ["changed a"]),
    Row("echo 1 > repo/a; echo 2 > repo/b", "mv repo/b repo/a", ["deleted b", "changed a"]),
    Row("echo 1 > repo/a", "mv repo/a repo/b", ["deleted a", "created b"]),
    Row("echo 1 > repo/a", "mv repo/a repo/b; mv repo/b repo/a", ["changed a"]),
    Row(
      "echo 1 > repo/a; echo 2 > repo/b", "mv repo/a repo/c; mv repo/b repo/a; mv repo/c repo/b",
      ["changed a", "changed b"]),
    Row("echo 1 > repo/a", "ln repo/a repo/b", ["created b"]),
    Row("echo 1 > out/a", "ln out/a repo/b", ["created b"]),
    Row("echo 1 > repo/a; echo 2 > out/b", "ln -f out/b repo/a", ["changed a"]),
    Row("", "mkfifo repo/f", []),
    Row("mkfifo repo/f", "rm repo/f; echo 1 > repo/f", ["created f"]),
    Row("echo 1 > repo/a", "rm repo/a; mkfifo repo/a", ["deleted a"]),
    // As editors save: a backup and a new file; a swap file, 4913 and a rename; a lock link and a rename over.
    Row("echo 1 > repo/a", "mv repo/a repo/a~; echo 2 > repo/a; rm repo/a~", ["changed a"]),
    Row(
      "echo 1 > repo/a",
      ": > repo/.a.swp; : > repo/4913; rm repo/4913; mv repo/a repo/a~; echo 2 > repo/a; rm repo/a~ repo/.a.swp",
      ["changed a"]),
    Row(
      "echo 1 > repo/a", "ln -s me@host.1:2 repo/.#a; cp repo/a repo/a~; echo 2 > repo/a; rm repo/.#a", ["changed a"]),
    Row("echo 1 > repo/a", "echo 2 > repo/.#tmp; mv repo/.#tmp repo/a", ["changed a"]),
    Row("", "mkdir repo/.svn; echo 1 > repo/.svn/a; echo 1 > repo/b~; echo 1 > repo/.gitignore", []),
    // Folders.
    Row("", "mkdir repo/d", ["created d/"]),
    Row(
      "", "mkdir -p repo/d/e/f; echo 1 > repo/d/x; echo 1 > repo/d/e/f/y",
      ["created d/", "created d/e/", "created d/e/f/", "created d/e/f/y", "created d/x"]),
    Row(
      "mkdir -p repo/d/e; echo 1 > repo/d/e/x", "echo 2 > repo/d/e/x; echo 2 > repo/d/y",
      ["changed d/e/x", "created d/y"]),
    Row(
      "mkdir -p repo/d/e; echo 1 > repo/d/e/x; echo 1 > repo/d/y", "rm -r repo/d",
      ["deleted d/e/x", "deleted d/e/", "deleted d/y", "deleted d/"]),
    Row("mkdir repo/d; echo 1 > repo/d/x", "rm -r repo/d; mkdir repo/d; echo 2 > repo/d/x", ["changed d/x"]),
    Row(
      "mkdir repo/d; echo 1 > repo/d/x", "rm -r repo/d; mkdir repo/d; echo 2 > repo/d/y",
      ["deleted d/x", "created d/y"]),
    Row("mkdir repo/d; echo 1 > repo/d/x", "rm -r repo/d; mkdir repo/d", ["deleted d/x"]),
    Row("", "mkdir repo/d; echo 1 > repo/d/x; rm -r repo/d", []),
    Row("mkdir repo/d", "rmdir repo/d; echo 1 > repo/d", ["deleted d/", "created d"]),
    Row("echo 1 > repo/d", "rm repo/d; mkdir repo/d; echo 1 > repo/d/x", ["deleted d", "created d/", "created d/x"]),
    Row("mkdir -p out/d/e; echo 1 > out/d/e/x", "mv out/d repo", ["created d/", "created d/e/", "created d/e/x"]),
    Row("mkdir -p repo/d/e; echo 1 > repo/d/e/x", "mv repo/d out", ["deleted d/e/x", "deleted d/e/", "deleted d/"]),
    Row(
      "mkdir -p repo/d/e; echo 1 > repo/d/e/x", "mv repo/d out; echo 2 > out/d/e/x; mv out/d repo", ["changed d/e/x"]),
    Row(
      "mkdir -p repo/d/e; echo 1 > repo/d/e/x", "mv repo/d repo/f; echo 2 > repo/f/e/x",
      ["deleted d/e/x", "deleted d/e/", "deleted d/", "created f/", "created f/e/", "created f/e/x"]),
    Row(
      "mkdir repo/d repo/f; echo 1 > repo/d/x; echo 2 > repo/f/x", "mv repo/d out/d; mv repo/f repo/d; mv out/d repo/f",
      ["changed d/x", "changed f/x"]),
    Row(
      "mkdir repo/a-b repo/a; echo 1 > repo/a/x", "rm -r repo/a repo/a-b",
      ["deleted a-b/", "deleted a/x", "deleted a/"]),
    // Symbolic links.
    Row("echo 1 > repo/a", "ln -s a repo/l", ["created l"]),
    Row("", "ln -s a repo/l", []),
    Row("ln -s a repo/l", "echo 1 > repo/a", ["created a", "created l"]),
    Row("echo 1 > repo/a; ln -s a repo/l", "echo 2 > repo/a", ["changed a", "changed l"]),
    Row("echo 1 > repo/a; ln -s a repo/l", "rm repo/a", ["deleted a", "deleted l"]),
    Row("echo 1 > repo/a; ln -s a repo/l", "rm repo/l", ["deleted l"]),
    Row("echo 1 > repo/a; echo 2 > repo/b; ln -s a repo/l", "ln -s b repo/n; mv -T repo/n repo/l", ["changed l"]),
    Row("echo 1 > repo/a; echo 2 > repo/b; ln -s a repo/l", "ln -sfn b repo/l", ["changed l"]),
    Row("echo 1 > out/a; ln -s ../out/a repo/l", "echo 2 > out/a", ["changed l"]),
    Row("echo 1 > out/a; ln -s $PWD/out/a repo/l", "echo 2 > out/n; mv out/n out/a", ["changed l"]),
    Row("echo 1 > out/a; ln -s ../out/a repo/l", "mv out gone", [], isAway: true),
    Row("ln -s ../out/d/a repo/l", "mkdir out/d; echo 1 > out/d/a", ["created l"]),
    Row("echo 1 > out/a; ln -s a out/b; ln -s ../out/b repo/l", "echo 2 > out/a", ["changed l"]),
    Row("echo 1 > out/a; echo 2 > out/c; ln -s a out/b; ln -s ../out/b repo/l", "ln -sfn c out/b", ["changed l"]),
    Row(
      "mkdir out/v1 out/v2; echo 1 > out/v1/a; echo 2 > out/v2/a; ln -s v1 out/now; ln -s ../out/now/a repo/l",
      "ln -s v2 out/next; mv -T out/next out/now; echo 3 > out/v2/a", ["changed l"]),
    Row("mkdir out/d; echo 1 > out/d/x", "ln -s ../out/d repo/l", ["created l/", "created l/x"]),
    Row(
      "mkdir out/d; echo 1 > out/d/x; ln -s ../out/d repo/l", "echo 2 > out/d/x; echo 1 > out/d/y",
      ["changed l/x", "created l/y"]),
    Row(
      "mkdir out/d out/e; echo 1 > out/d/x; echo 2 > out/e/x; echo 2 > out/e/y; ln -s ../out/d repo/l",
      "ln -sfn ../out/e repo/l", ["changed l/x", "created l/y"]),
    Row("mkdir out/d; echo 1 > out/d/x; ln -s ../out/d repo/l", "rm repo/l", ["deleted l/x", "deleted l/"]),
    Row(
      "mkdir repo/v1; echo 1 > repo/v1/x; ln -s v1 repo/now", "echo 2 > repo/v1/x", ["changed now/x", "changed v1/x"]),
    Row("mkdir repo/d", "ln -s .. repo/d/up; ln -s . repo/d/self; echo 1 > repo/d/x", ["created d/x"]),
    Row("", "ln -s l2 repo/l1; ln -s l1 repo/l2", []),
    Row("ln -s l2 repo/l1; ln -s l1 repo/l2", "rm repo/l2; echo 1 > repo/l2", ["created l1", "created l2"]),
    // The monitored folder itself, and those above it.
    Row("echo 1 > repo/a", "rm -r repo", [], isAway: true),
    Row("echo 1 > repo/a", "mv repo gone", [], isAway: true),
    Row("mkdir out/d; echo 1 > out/d/x; ln -s ../out/d repo/l", "mv out/d out/e", [], isAway: true),
    Row("echo 1 > repo/a", "mv repo gone; mkdir repo; echo 2 > repo/a; echo 3 > gone/a", ["changed a"]),
    Row(
      "mkdir new; echo 2 > new/a; echo 2 > new/b; echo 1 > repo/a", "mv repo old; mv new repo",
      ["changed a", "created b"]),
    Row("echo 1 > repo/a", "rm -r repo; echo 1 > repo", [], isAway: true),
    Row("mkdir new; echo 2 > new/a; echo 1 > repo/a; mv repo v1; ln -s v1 repo", "ln -sfn new repo", ["changed a"]),
    Row("echo 1 > repo/a; mv repo v1; ln -s v1 repo", "echo 2 > v1/a", ["changed a"]),
  ]

  @Test(arguments: rows)
  func anEditFinishedBeforeIsDelivered(row: Row) throws {
    let folder = try MonitoredFolder(row.setup)
    let first = folder.model.takeEvents()
    #expect(first.allSatisfy { $0.hasPrefix("exists ") } && folder.model.setCount == 1)
    let others = try ScriptedWatchSource.Fault.allCases.map {
      try MonitoredFolder(sharing: folder.directory, fault: $0)
    }
    let (pseudo, pseudoModel) = (PseudoMonitor(), FileMonitorModel())
    pseudo.add(folder.root, recursive: true, handler: pseudoModel)
    let (known, generation) = (folder.model.known, folder.monitor.generation)

    folder.shell(row.edit)
    #expect(folder.monitor.processPending() == row.events.count)
    #expect(folder.model.takeEvents() == row.events)
    #expect(folder.monitor.generation == generation + (row.events.isEmpty ? 0 : 1))
    #expect(folder.model.setCount == (row.events.isEmpty ? 1 : 2))
    // The kernel may say later that the watch of a file that is gone has ended, which is no news.
    if folder.monitor.hasPending { #expect(folder.monitor.processPending() == 0) }
    #expect(folder.monitor.troubles.isEmpty == !row.isAway)
    if row.isAway { #expect(folder.model.known == known) } else { check(folder) }
    #expect(pseudo.processPending() == 0 && pseudoModel.known == known && !pseudo.hasPending)
    pseudo.rescan()
    #expect(pseudoModel.known == folder.model.known && pseudoModel.faults == [])
    for other in others {
      other.monitor.processPending()
      if row.isAway { #expect(other.model.known == known) } else { check(other) }
    }

    // Watches were placed on what is new: a second edit is noticed too.
    folder.shell("rm -rf repo; mkdir -p repo/d; echo 9 > repo/d/z")
    for one in [folder] + others {
      one.monitor.processPending()
      check(one)
    }
  }

  private func check(_ folder: MonitoredFolder) {
    #expect(folder.model.known == FileMonitorModel.scan(folder.root), "\(folder.source.fault)")
    #expect(folder.model.faults == [], "\(folder.source.fault)")
  }
}
