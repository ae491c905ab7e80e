import EventLoop
import Glibc
import Logging
import Support
import Testing

@testable import Repository

/// What cannot be read is not deleted.
@Suite struct FileMonitorAwayTests {
  /// Runs a body as somebody who may read only what everybody may; its calls wait for nothing.
  private func asNobody<Result>(_ body: () throws -> Result) rethrows -> Result {
    guard geteuid() == 0 else { return try body() }
    // Of this thread alone: setfsuid(2), which Glibc's module does not have.
    typealias SetUser = @convention(c) (uid_t) -> Int32
    let setUser = unsafeBitCast(dlsym(nil, "setfsuid"), to: SetUser.self)
    _ = setUser(65534)
    defer { _ = setUser(0) }
    return try body()
  }

  private func check(_ folder: MonitoredFolder) {
    #expect(folder.model.known == FileMonitorModel.scan(folder.root))
    #expect(folder.model.faults == [] && folder.monitor.troubles.isEmpty)
  }

  @Test func aFolderThatCannotBeListedKeepsItsFiles() throws {
    let folder = try MonitoredFolder("mkdir repo/d; echo 1 > repo/d/x; echo 1 > repo/d/y; chmod 755 .")
    _ = folder.model.takeEvents()
    chmod(folder.directory.path, 0o755)
    for mode in [0o311, 0o644, 0o000] as [mode_t] {
      chmod(folder.root + "/d", mode)
      asNobody {
        folder.monitor.processPending()
        folder.monitor.rescan()
        folder.monitor.processPending()
      }
      #expect(folder.model.takeEvents() == [], "\(mode)")
      let troubles = folder.monitor.troubles
      #expect(troubles.map(\.path) == [folder.root + "/d"] && troubles[0].isFolder, "\(mode) \(troubles)")
      #expect(troubles.map(\.reason) == ["Permission denied"])
      let lines = folder.log.take()
      #expect(lines.filter { $0.contains("stays in use") }.count == 1, "\(lines)")
      // The file is edited while it cannot be read.
      let octal = String(mode, radix: 8)
      folder.shell("chmod 755 repo/d; echo \(mode) > repo/d/x; rm repo/d/y; : > repo/d/z\(mode); chmod \(octal) repo/d")
      asNobody { _ = folder.monitor.processPending() }
      _ = folder.model.takeEvents()
      chmod(folder.root + "/d", 0o755)
      asNobody { _ = folder.monitor.processPending() }
      check(folder)
      folder.shell("echo 1 > repo/d/y")
      folder.monitor.processPending()
      check(folder)
      _ = (folder.model.takeEvents(), folder.log.take())
    }
  }

  @Test func aMonitoredPathThatMayNotBePassedIsAway() throws {
    let folder = try MonitoredFolder("echo 1 > repo/a; mkdir repo/d; echo 1 > repo/d/x; chmod 755 .")
    _ = folder.model.takeEvents()
    chmod(folder.directory.path, 0o644)
    asNobody { _ = folder.monitor.processPending() }
    #expect(folder.model.takeEvents() == [] && folder.monitor.troubles.map(\.reason) == ["Permission denied"])
    chmod(folder.directory.path, 0o755)
    folder.shell("echo 2 > repo/a")
    asNobody { _ = folder.monitor.processPending() }
    #expect(folder.model.takeEvents() == ["changed a"])
    check(folder)
  }

  @Test func aTroubleThatEndsWithItsFileOrWithTheServerIsNotToldAsMended() throws {
    let folder = try MonitoredFolder("echo 1 > repo/a; echo 1 > repo/b; chmod 755 .", logLevel: .notice)
    for name in ["a", "b"] { chmod(folder.root + "/" + name, 0o000) }
    asNobody { _ = folder.monitor.processPending() }
    #expect(folder.log.take().count == 2)
    folder.shell("rm repo/a")
    asNobody { _ = folder.monitor.processPending() }
    #expect(folder.log.take() == ["notice \(folder.root)/a: deleted, or no longer monitored"])
    folder.monitor.shutdown()
    #expect(folder.log.take() == [] && folder.monitor.troubles.isEmpty)
  }

  @Test func aFileThatCannotBeReadKeepsItsContents() throws {
    let folder = try MonitoredFolder("echo 1 > repo/a; echo 1 > repo/b; chmod 755 .")
    _ = folder.model.takeEvents()
    chmod(folder.root + "/a", 0o000)
    asNobody { _ = folder.monitor.processPending() }
    #expect(folder.model.takeEvents() == [])
    #expect(folder.monitor.troubles.map(\.path) == [folder.root + "/a"])
    #expect(folder.monitor.troubles.map(\.isFolder) == [false])
    folder.shell("echo 2 > repo/n; chmod 000 repo/n; mv repo/n repo/a")
    asNobody { _ = folder.monitor.processPending() }
    #expect(folder.model.takeEvents() == [])
    chmod(folder.root + "/a", 0o644)
    asNobody { _ = folder.monitor.processPending() }
    #expect(folder.model.takeEvents() == ["changed a"])
    check(folder)
    // Deleted while it cannot be read: its folder says so.
    chmod(folder.root + "/a", 0o000)
    asNobody { _ = folder.monitor.processPending() }
    unlink(folder.root + "/a")
    asNobody { _ = folder.monitor.processPending() }
    #expect(folder.model.takeEvents() == ["deleted a"])
    check(folder)
  }

  @Test func anEditBeforeTheMoveIsNoDeletion() throws {
    let folder = try MonitoredFolder("echo 1 > repo/a; mkdir repo/d; echo 1 > repo/d/x")
    let known = folder.model.known
    _ = folder.model.takeEvents()
    folder.shell("echo 2 > repo/a; echo 2 > repo/d/x; chmod 600 repo/d/x; mv repo gone")
    folder.monitor.processPending()
    #expect(folder.model.takeEvents() == [] && folder.model.known.keys == known.keys)
    // What is done to it elsewhere is not told, until it is back.
    folder.shell("rm -r gone/d; echo 3 > gone/b; rm gone/a")
    folder.monitor.processPending()
    folder.monitor.rescan()
    #expect(folder.model.takeEvents() == [])
    folder.shell("mv gone repo")
    folder.monitor.processPending()
    #expect(folder.model.takeEvents() == ["deleted a", "deleted d/x", "deleted d/", "created b"])
    check(folder)
  }

  @Test func aLoopOfLinksIsNoDeletion() throws {
    let folder = try MonitoredFolder("mkdir repo/d out/e; echo 1 > repo/d/x; echo 1 > out/e/y; ln -s ../out/e repo/l")
    _ = folder.model.takeEvents()
    folder.shell("mv out/e out/f; ln -s e out/e")
    folder.monitor.processPending()
    #expect(folder.model.takeEvents() == [])
    #expect(folder.monitor.troubles.map(\.reason) == ["Too many levels of symbolic links"])
    folder.shell("rm out/e; mv out/f out/e; echo 2 > out/e/y")
    folder.monitor.processPending()
    #expect(folder.model.takeEvents() == ["changed l/y"])
    check(folder)
  }

  @Test func aFolderBelowAPluginsIsDeletedAndThePluginsIsAway() throws {
    let directory = TemporaryDirectory()
    directory.write("1", to: "repo/Cfg/sub/x")
    directory.write("1", to: "repo/Cfg/y")
    let loop = try Reactor()
    let monitor = InotifyMonitor(logger: LogRecorder().logger, on: loop)
    monitor.repository = directory.file("repo") + "/"
    let (plugin, part, file) = (FileMonitorModel("plugin"), FileMonitorModel("part"), FileMonitorModel("file"))
    monitor.add(directory.file("repo/Cfg"), recursive: true, handler: plugin)
    monitor.add(directory.file("repo/Cfg/sub"), recursive: false, handler: part)
    monitor.add(directory.file("repo/Cfg/sub/x"), recursive: false, handler: file)
    for model in [plugin, part, file] { _ = model.takeEvents() }
    func move(_ from: String, _ to: String) {
      #expect(rename(directory.file(from), directory.file(to)) == 0)
      monitor.processPending()
    }
    move("repo/Cfg/sub", "sub")
    #expect(plugin.takeEvents() == ["deleted sub/x", "deleted sub/"])
    #expect(part.takeEvents() == ["deleted x", "deleted /"] && file.takeEvents() == ["deleted "])
    move("sub", "repo/Cfg/sub")
    #expect(plugin.takeEvents() == ["created sub/", "created sub/x"] && file.takeEvents() == ["created "])
    _ = part.takeEvents()
    for top in ["repo/Cfg", "repo"] {
      move(top, "away")
      #expect(monitor.troubles.map(\.path) == [directory.file(top)])
      #expect(monitor.troubles.first?.pathCount == 3)
      for model in [plugin, part, file] { #expect(model.takeEvents() == []) }
      move("away", top)
      #expect(monitor.troubles.isEmpty)
    }
    monitor.remove(nil, handler: plugin)
    move("repo", "away")
    for model in [part, file] { monitor.remove(nil, handler: model) }
    #expect(monitor.troubles.isEmpty && monitor.context.watches.all.isEmpty && monitor.context.unwatched.isEmpty)
    monitor.shutdown()
  }

  /// An empty folder of another file system in the place of one with contents: as after umount(8).
  @Test(.enabled(if: FileMonitorAwayTests.otherFileSystem != nil, "no second file system to write to"))
  func thePlaceOfAMountIsNotAnEmptyRepository() throws {
    let fileSystem = try #require(Self.otherFileSystem)
    let other = TemporaryDirectory(in: fileSystem)
    let folder = try MonitoredFolder("echo 1 > repo/a; mv repo v1; ln -s v1 repo")
    _ = folder.model.takeEvents()
    folder.shell("ln -sfn \(other.path) repo")
    folder.monitor.processPending()
    #expect(folder.model.takeEvents() == [] && folder.monitor.troubles.map(\.path) == [folder.root])
    // A file system with contents is another repository.
    other.write("2\n", to: "a")
    folder.monitor.processPending()
    #expect(folder.model.takeEvents() == ["changed a"] && folder.monitor.troubles.isEmpty)
    unlink(other.file("a"))
    folder.monitor.processPending()
    #expect(folder.model.takeEvents() == ["deleted a"])
  }

  nonisolated static let otherFileSystem: String? = {
    func device(_ path: String) -> dev_t? {
      var status = stat()
      return stat(path, &status) == 0 && access(path, W_OK) == 0 ? status.st_dev : nil
    }
    let own = device(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")
    return ["/dev/shm", "/tmp", "/var/tmp"].first { device($0) != nil && device($0) != own }
  }()

  @Test func whatAHandlerCouldNotReadIsToldAgain() throws {
    let folder = try MonitoredFolder("echo 1 > repo/a")
    _ = folder.model.takeEvents()
    folder.monitor.couldNotRead(folder.root + "/a", SystemError(call: "open", errno: EMFILE))
    #expect(folder.monitor.troubles.map(\.reason) == ["Too many open files"])
    // Not at each request: what fails after it was opened would change the repository each time.
    #expect(folder.monitor.processPending() == 0)
    folder.monitor.rescan()
    #expect(folder.model.takeEvents() == ["changed a"] && folder.monitor.troubles.isEmpty)
    // A folder or a file that is too large is no trouble that ends by itself.
    for errno in [ENOENT, EFBIG, EISDIR] {
      folder.monitor.couldNotRead(folder.root + "/a", SystemError(call: "open", errno: errno))
    }
    folder.monitor.couldNotRead(folder.root + "/none", SystemError(call: "open", errno: EIO))
    #expect(folder.monitor.troubles.isEmpty)
  }

  @Test func aHeldMonitorTellsNothingUntilItIsLetGo() throws {
    let folder = try MonitoredFolder("echo 1 > repo/a")
    _ = folder.model.takeEvents()
    folder.monitor.isHeld = true
    folder.shell("echo 2 > repo/a")
    #expect(folder.monitor.processPending() == 0 && folder.monitor.hasPending)
    folder.monitor.rescan()
    folder.loop.runOnce(wait: .zero)
    #expect(folder.model.takeEvents() == [])
    folder.monitor.isHeld = false
    #expect(folder.model.takeEvents() == ["changed a"])
    check(folder)
  }

  @Test func anIncludeThatIsAwayLeavesTheDocumentAsItWas() throws {
    let directory = TemporaryDirectory()
    let main = directory.write(
      """
      <A xmlns:xi="http://www.w3.org/2001/XInclude">
        <xi:include href="../shared/b.xml"/><xi:include href="../globbed/*.xml"/><xi:include href="own/c.xml"/>
        <xi:include href="../globbed/deep/d.xml"/>
      </A>
      """, to: "repo/a.xml")
    directory.write("<B/>", to: "shared/b.xml")
    directory.write("<G/>", to: "globbed/g.xml")
    // Not one of the glob's, whose star takes no slash.
    directory.write("<D/>", to: "globbed/deep/d.xml")
    directory.write("<C/>", to: "repo/own/c.xml")
    let loop = try Reactor()
    let monitor = InotifyMonitor(logger: LogRecorder().logger, on: loop)
    monitor.repository = directory.path
    let file = XMLFileBacked(path: main, monitor: monitor, logger: LogRecorder().logger)
    file.watch()
    var tags: [String] { (file.root?.children ?? []).map(\.tag).sorted() }
    #expect(tags == ["B", "C", "D", "G"])
    for folder in ["shared", "globbed"] {
      rename(directory.file(folder), directory.file("away"))
      monitor.processPending()
      #expect(tags == ["B", "C", "D", "G"], "\(folder)")
      // An edit of the document is not taken in without it.
      file.load()
      #expect(tags == ["B", "C", "D", "G"], "\(folder)")
      rename(directory.file("away"), directory.file(folder))
      monitor.processPending()
      monitor.rescan()
      #expect(tags == ["B", "C", "D", "G"])
    }
    // Deleted from a folder that is there, or with a folder of the document's own.
    unlink(directory.file("shared/b.xml"))
    monitor.processPending()
    #expect(tags == ["C", "D", "G"])
    rename(directory.file("repo/own"), directory.file("away"))
    monitor.processPending()
    #expect(tags == ["D", "G"])
    monitor.shutdown()
  }
}
