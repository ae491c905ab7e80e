import EventLoop
import Glibc
import Support
import Testing

@testable import Repository

struct FileMonitorContractTests {
  @Test func aFileCountsOnceItsWriterHasClosedIt() throws {
    let folder = try MonitoredFolder("echo old > repo/b; mkdir repo/d")
    _ = folder.model.takeEvents()
    let new = open(folder.root + "/a", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    let old = open(folder.root + "/b", O_WRONLY | O_APPEND | O_CLOEXEC)
    write(new, "1", 1)
    write(old, "1", 1)
    fchmod(old, 0o600)
    #expect(folder.monitor.processPending() == 0)
    // The same holds for a file in a new folder.
    mkdir(folder.root + "/e", 0o755)
    let found = open(folder.root + "/e/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    folder.monitor.processPending()
    #expect(folder.model.takeEvents() == ["created e/"])
    for file in [new, old, found] { close(file) }
    folder.monitor.processPending()
    #expect(folder.model.takeEvents() == ["created a", "changed b", "created e/f"])
    // Moved into place while it is written.
    let moved = open(folder.root + "/e/g", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    rename(folder.root + "/e/g", folder.root + "/g")
    folder.monitor.processPending()
    #expect(folder.model.takeEvents() == ["created g"])
    close(moved)
    // After an overflow nobody knows what was closed.
    let held = open(folder.root + "/h", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    folder.monitor.rescan()
    #expect(folder.model.takeEvents().contains("created h"))
    close(held)
    #expect(folder.model.faults == [])
  }

  @Test func editsOfEqualSizeInOneTickAreFoundWithoutRecords() throws {
    for fault in [ScriptedWatchSource.Fault.refusesAll, .overflows] {
      let folder = try MonitoredFolder("", fault: fault)
      for round in 0..<50 {
        folder.directory.write("\(round % 10)", to: "repo/a")
        // The overflow is told by a record of any kind.
        folder.directory.write("", to: "repo/b")
        folder.monitor.processPending()
        #expect(folder.model.known == FileMonitorModel.scan(folder.root))
      }
    }
  }

  @Test func aSingleFileNeedNotExist() throws {
    let folder = try MonitoredFolder()
    let model = FileMonitorModel()
    let path = folder.directory.file("etc/bcfg2/bcfg2.conf")
    folder.monitor.add(path, recursive: false, handler: model)
    #expect(model.setCount == 1 && model.known.isEmpty)
    let steps: [(edit: String, events: [String])] = [
      ("mkdir etc", []), ("mkdir etc/bcfg2; echo 1 > etc/bcfg2/other", []),
      ("echo 1 > etc/bcfg2/bcfg2.conf", ["created "]), ("echo 2 > etc/bcfg2/bcfg2.conf", ["changed "]),
      ("echo 3 > etc/bcfg2/n; mv etc/bcfg2/n etc/bcfg2/bcfg2.conf", ["changed "]),
      // With its folder it is away, not deleted.
      ("mv etc old", []), ("mv old etc", []), ("rm -r etc", []),
      ("mkdir -p etc/bcfg2", ["deleted "]),
      ("mkdir -p real; echo 4 > real/c; ln -s $PWD/real/c etc/bcfg2/bcfg2.conf", ["created "]),
      ("echo 5 > real/c", ["changed "]), ("echo 6 > real/d; ln -sfn d real/c", ["changed "]),
    ]
    for step in steps {
      folder.shell(step.edit)
      folder.monitor.processPending()
      #expect(model.takeEvents() == step.events, "\(step.edit)")
    }
    #expect(model.faults == [])
    #expect(folder.monitor.listWatches() == [folder.directory.path + "/real", folder.root].sorted())
  }

  @Test func aFlatMonitorTellsOfItsOwnNamesOnly() throws {
    let folder = try MonitoredFolder("mkdir flat flat/d; echo 1 > flat/a; echo 1 > flat/d/x")
    let model = FileMonitorModel()
    folder.monitor.add(folder.directory.file("flat") + "//", recursive: false, handler: model)
    #expect(model.takeEvents() == ["exists /", "exists a", "exists d/"])
    folder.shell("echo 2 > flat/d/x; mkdir flat/e; echo 2 > flat/e/y; echo 2 > flat/b; rm -r flat/d")
    folder.monitor.processPending()
    #expect(model.takeEvents() == ["deleted d/", "created b", "created e/"])
    #expect(model.faults == [])
  }

  @Test func theLoopDeliversOneSetForManyEdits() throws {
    let folder = try MonitoredFolder()
    _ = folder.model.takeEvents()
    let count = 3000
    for number in 0..<count { folder.directory.write("\(number)", to: "repo/\(number % 7)/\(number)") }
    #expect(folder.monitor.hasPending)
    folder.loop.runOnce(wait: .zero)
    let first = folder.model.takeEvents().count
    #expect(folder.model.setCount == 2)
    // A child that another test starts has this process's open files until it begins its own program: such a file
    // counts as being written, and comes in a later set.
    #expect(LoopDriver.run(folder.loop) { !folder.monitor.hasPending })
    #expect(first + folder.model.takeEvents().count == count + 7 && first > count / 2)
    #expect(folder.model.known == FileMonitorModel.scan(folder.root))
    #expect(folder.model.faults == [])
  }

  @Test func aRealOverflowIsMadeUpFor() throws {
    let folder = try MonitoredFolder("echo 0 > repo/last")
    let limit = try #require(Int(readText("/proc/sys/fs/inotify/max_queued_events")))
    let path = folder.directory.write("", to: "repo/a")
    // Two kinds in turn: equal records that follow each other are one in the kernel's queue.
    for _ in 0...limit / 2 {
      chmod(path, 0o600)
      truncate(path, 0)
    }
    folder.directory.write("lost", to: "repo/last")
    folder.monitor.processPending()
    #expect(folder.log.take() == ["warning inotify lost events (fs.inotify.max_queued_events): comparing everything"])
    #expect(folder.model.known == FileMonitorModel.scan(folder.root))
  }

  @Test func limitsOfTheKernelAreNamedOnce() throws {
    let folder = try MonitoredFolder("mkdir repo/d repo/e", fault: .refusesAll)
    let lines = folder.log.take()
    #expect(lines.count == 1 && lines[0].contains("fs.inotify.max_user_watches"), "\(lines)")
    let log = LogRecorder()
    let monitor = InotifyMonitor(logger: log.logger, on: folder.loop) { () throws(SystemError) in
      throw SystemError(call: "inotify_init1", errno: EMFILE)
    }
    let model = FileMonitorModel()
    monitor.add(folder.root, recursive: true, handler: model)
    let complaints = log.take()
    #expect(complaints.count == 1 && complaints[0].contains("fs.inotify.max_user_instances"), "\(complaints)")
    folder.directory.write("1", to: "repo/d/x")
    #expect(monitor.processPending() == 1 && model.takeEvents().last == "created d/x" && !monitor.hasPending)
    monitor.shutdown()
  }

  @Test func aWatchThatTheKernelEndsIsPlacedAnew() throws {
    let folder = try MonitoredFolder("mkdir repo/d; echo 1 > repo/d/x")
    // As an unmount tells it; the folder is still there, as below a mount.
    for mask in [InotifyMask.unmount, .ignored] {
      folder.source.inject { [InotifyRecord(watch: $0, mask: mask)] }
      folder.directory.write("\(mask.rawValue)", to: "repo/d/x")
      folder.monitor.processPending()
      #expect(folder.model.known == FileMonitorModel.scan(folder.root))
      folder.directory.write("again", to: "repo/d/x")
      folder.monitor.processPending()
      #expect(folder.model.known == FileMonitorModel.scan(folder.root) && folder.model.faults == [])
    }
  }

  @Test func handlersMayAddAndRemoveMonitors() throws {
    let folder = try MonitoredFolder()
    let (outer, inner) = (FileMonitorModel("outer"), FileMonitorModel("inner"))
    outer.onEvent = { event in
      if event.relativePath == "d" { folder.monitor.add(event.path, recursive: true, handler: inner) }
      if event.relativePath == "stop" {
        folder.monitor.remove(nil, handler: outer)
        folder.monitor.remove(folder.root + "/d", handler: inner)
        folder.monitor.rescan()
        folder.monitor.processPending()
      }
    }
    folder.monitor.add(folder.root, recursive: false, handler: outer)
    folder.monitor.add(folder.root, recursive: false, handler: outer)
    #expect(outer.takeEvents() == ["exists /"])
    folder.shell("mkdir repo/d; echo 1 > repo/d/x")
    folder.monitor.processPending()
    #expect(outer.takeEvents() == ["created d/"] && inner.takeEvents() == ["exists /", "exists x"])
    #expect(folder.monitor.listPaths() == [folder.root, folder.root, folder.root + "/d"])
    #expect(folder.monitor.listEventHandlers().map(\.handler) == ["Model", "outer", "inner"])
    folder.shell("echo 1 > repo/stop; echo 1 > repo/zzz; echo 1 > repo/d/y")
    folder.monitor.processPending()
    #expect(outer.takeEvents() == ["created stop"] && inner.takeEvents() == [])
    #expect(folder.model.known == FileMonitorModel.scan(folder.root))
    // Only the first monitor still needs the watch of d.
    folder.monitor.remove(nil, handler: folder.model)
    #expect(folder.monitor.listWatches() == [] && folder.monitor.context.watches.all.isEmpty)
  }

  @Test func thousandsOfPathsThroughOneFolderCostNoMoreEach() throws {
    let folder = try MonitoredFolder()
    let handler = FileMonitorModel("many")
    func nanoseconds(_ count: Int) -> Int {
      var (start, end) = (timespec(), timespec())
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start)
      for number in 0..<count { folder.monitor.add("\(folder.root)/d/\(number)", recursive: false, handler: handler) }
      folder.monitor.remove(nil, handler: handler)
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end)
      return (end.tv_sec - start.tv_sec) * 1_000_000_000 + end.tv_nsec - start.tv_nsec
    }
    _ = nanoseconds(10)
    let few = nanoseconds(500)
    // With a cost for each other path it would be 64 times that.
    #expect(nanoseconds(4000) < 24 * few)
    #expect(folder.monitor.listPaths() == [folder.root])
    // What was removed in whatever order is not told of, and what is left is.
    for name in ["a", "b", "c", "e"] {
      folder.monitor.add(folder.root + "/" + name, recursive: false, handler: handler)
    }
    for name in ["b", "e"] { folder.monitor.remove(folder.root + "/" + name, handler: handler) }
    folder.monitor.add(folder.root + "/e", recursive: false, handler: handler)
    _ = handler.takeEvents()
    folder.shell("for name in a b c e; do echo 1 > repo/$name; done")
    folder.monitor.processPending()
    #expect(handler.takeEvents().count == 3)
  }

  @Test func ignoredAndStrangeNamesAreLeftOut() throws {
    let folder = try MonitoredFolder("echo 1 > out/x.swp")
    folder.monitor.isDebugging = true
    let model = FileMonitorModel()
    folder.monitor.add(folder.directory.file("out/x.swp"), recursive: false, handler: model)
    #expect(model.known.isEmpty)
    folder.shell("printf 1 > \"$(printf 'repo/\\377')\"; echo 1 > repo/a~; echo 1 > repo/b")
    folder.monitor.processPending()
    folder.monitor.processPending()
    #expect(folder.model.known.keys.sorted() == ["", "b"])
    let lines = folder.log.take()
    #expect(lines.filter { $0.contains("not UTF-8") }.count == 1)
    #expect(lines.contains { $0.hasPrefix("error Ignoring") && $0.hasSuffix("a~") })
    #expect(lines.contains("error Dispatching event created \(folder.root)/b to obj Model"))
    // Two names that Unicode takes for one.
    folder.shell("echo 1 > \"$(printf 'repo/\\303\\251')\"; echo 2 > \"$(printf 'repo/e\\314\\201')\"")
    #expect(folder.monitor.processPending() == 2)
  }

  @Test func patternsAreThoseOfBcfg2() {
    let list = IgnoreList()
    for name in ["a~", ".#a", "a#", "a.swp", ".a.swx", "SCCS", ".svn", "4913", ".gitignore"] {
      #expect(list.matches(name) && list.matches(path: "/x/\(name)"), "\(name)")
    }
    for name in ["a", "a.swx", "svn", "49130", "a~b", "gitignore"] { #expect(!list.matches(name), "\(name)") }
    #expect(IgnoreList(["/etc/*"]).matches(path: "/etc/a/b") && !IgnoreList(["/etc/*"]).matches(path: "/var/etc"))
    #expect(IgnoreList(["[!a]x", "?.\\*"]).matches("bx") && !IgnoreList(["[!a]x"]).matches("ax"))
  }

  @Test func theSettingNamesTheMonitor() throws {
    let loop = try Reactor()
    let log = LogRecorder()
    for (value, name) in [("default", "Inotify"), ("inotify", "Inotify"), ("pseudo", "Pseudo"), ("gamin", "Inotify")] {
      let monitor = try #require(FileMonitorFactory.make(value, logger: log.logger, on: loop))
      #expect(monitor.name == name)
      #expect(log.take().count == (value == "gamin" ? 1 : 0))
      monitor.shutdown()
      monitor.shutdown()
      #expect(loop.registeredWatchers.isEmpty)
    }
    #expect(FileMonitorFactory.make("other", on: loop) == nil)
  }

  private func readText(_ path: String) throws -> Substring {
    let file = try FileDescriptor.open(path, O_RDONLY)
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = read(file.rawValue, &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self).split(separator: "\n")[0]
  }
}
