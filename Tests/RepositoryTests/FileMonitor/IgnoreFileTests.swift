import EventLoop
import Glibc
import Logging
import Support
import Testing

@testable import Repository

/// Files `.bcfg2-ignore` as the file monitor follows them.
@Suite struct IgnoreFileTests {
  private final class Site {
    let folder: MonitoredFolder
    let log = LogRecorder()
    let model = FileMonitorModel()

    /// - Parameter shell: makes the repository before it is watched.
    init(_ shell: String, fault: ScriptedWatchSource.Fault = .none) throws {
      // The repository is above the first monitored path, as plugins' folders are.
      folder = try MonitoredFolder("mkdir -p repo/d", fault: fault)
      folder.monitor.remove(nil, handler: folder.model)
      folder.shell("cd repo; \(shell)")
      folder.monitor.repository = folder.root
      folder.monitor.add(folder.root + "/d", recursive: true, handler: model)
    }

    /// The events that an edit leads to.
    func edit(_ shell: String) -> [String] {
      _ = model.takeEvents()
      let sets = model.setCount
      folder.shell("cd repo; \(shell)")
      folder.monitor.processPending()
      #expect(model.setCount <= sets + 1)
      #expect(model.faults == [])
      return model.takeEvents()
    }
  }

  @Test(arguments: ScriptedWatchSource.Fault.allCases)
  func filesVanishAndAppear(_ fault: ScriptedWatchSource.Fault) throws {
    let site = try Site(
      "printf '*.bak\\n' > .bcfg2-ignore; touch d/a d/a.bak; mkdir d/e d/build; touch d/e/b.bak d/build/x", fault: fault
    )
    #expect(site.model.takeEvents() == ["exists /", "exists a", "exists build/", "exists build/x", "exists e/"])
    // New names.
    #expect(site.edit("touch d/c.bak d/c") == ["created c"])
    // An edit above the monitored folder: one set, deletions first.
    #expect(
      site.edit("printf 'build/\\n' > .bcfg2-ignore")
        == ["deleted build/x", "deleted build/", "created a.bak", "created c.bak", "created e/b.bak"])
    // What is hidden is not watched.
    #expect(site.edit("echo 1 > d/build/x; touch d/build/y") == [])
    // One in the folder takes back what the other ignores.
    #expect(
      site.edit("printf '!build/\\n*.bak\\n' > d/.bcfg2-ignore") == [
        "deleted a.bak", "deleted c.bak", "deleted e/b.bak", "created build/", "created build/x", "created build/y",
      ])
    // Where watches are refused, files that have only just come back may count as changed, too.
    let back = site.edit("rm d/.bcfg2-ignore .bcfg2-ignore")
      .filter { fault == .none || !$0.hasPrefix("changed build/") }
    #expect(back == ["created a.bak", "created c.bak", "created e/b.bak"])
    #expect(site.edit("rm d/a.bak") == ["deleted a.bak"])
  }

  @Test func aFolderThatIsTakenBackHasItsOwnPatterns() throws {
    let site = try Site(
      "printf 'e/\\n' > .bcfg2-ignore; mkdir -p d/e/f; printf '*.x\\n' > d/e/.bcfg2-ignore; touch d/e/a d/e/a.x d/e/f/b.x"
    )
    #expect(site.model.takeEvents() == ["exists /"])
    #expect(site.edit("rm .bcfg2-ignore") == ["created e/", "created e/a", "created e/f/"])
    #expect(site.edit("rm d/e/.bcfg2-ignore") == ["created e/a.x", "created e/f/b.x"])
  }

  @Test func aSingleFileVanishesForItsOwner() throws {
    let site = try Site("mkdir m; echo 1 > m/a.xml")
    let owner = FileMonitorModel()
    site.folder.monitor.add(site.folder.root + "/m/a.xml", recursive: false, handler: owner)
    #expect(owner.takeEvents() == ["exists "])
    _ = site.edit("echo m/ > .bcfg2-ignore")
    #expect(owner.takeEvents() == ["deleted "])
    _ = site.edit("echo 2 > m/a.xml")
    #expect(owner.takeEvents() == [])
    _ = site.edit("printf 'a.xml\\n' > m/.bcfg2-ignore; rm .bcfg2-ignore")
    #expect(owner.takeEvents() == [])
    #expect(site.folder.monitor.hides(site.folder.root + "/m/a.xml"))
    _ = site.edit("echo '# nothing' > m/.bcfg2-ignore")
    #expect(owner.takeEvents() == ["created "])
    #expect(owner.faults == [])
  }

  @Test func aPathThatIsAddedLaterIsHidden() throws {
    let site = try Site("mkdir m; printf '*.bak\\n' > m/.bcfg2-ignore; touch m/a m/a.bak")
    let other = FileMonitorModel()
    site.folder.monitor.add(site.folder.root + "/m", recursive: true, handler: other)
    #expect(other.takeEvents() == ["exists /", "exists a"])
    // Forgotten with its monitor, and read again.
    site.folder.monitor.remove(nil, handler: other)
    _ = site.edit("rm m/.bcfg2-ignore")
    let third = FileMonitorModel()
    site.folder.monitor.add(site.folder.root + "/m", recursive: true, handler: third)
    #expect(third.takeEvents() == ["exists /", "exists a", "exists a.bak"])
    site.folder.monitor.remove(nil, handler: third)
    site.folder.monitor.remove(nil, handler: site.model)
    #expect(site.folder.monitor.context.watches.all.isEmpty)
  }

  @Test func aBadFileLeavesThePatternsThatItHad() throws {
    let site = try Site("printf '*.bak\\n' > .bcfg2-ignore; touch d/a.bak")
    #expect(site.model.takeEvents() == ["exists /"])
    // Larger than is read.
    #expect(site.edit("head -c 70000 /dev/zero > .bcfg2-ignore; touch d/b.bak") == [])
    #expect(site.edit("rm .bcfg2-ignore; mkdir .bcfg2-ignore") == ["created a.bak", "created b.bak"])
    #expect(
      site.edit("rmdir .bcfg2-ignore; printf '[\\n*.bak\\n' > .bcfg2-ignore") == ["deleted a.bak", "deleted b.bak"])
  }

  @Test func othersAreNotConcerned() throws {
    let site = try Site("printf '*\\n' > .bcfg2-ignore; mkdir v")
    /// As those of version control.
    final class Foreign: FileEventHandler {
      var seen: [String] = []
      var handlerName: String { "Foreign" }
      var followsRepository: Bool { false }
      func handleEvent(_ event: FileEvent) { seen.append(event.relativePath) }
    }
    let foreign = Foreign()
    site.folder.shell("touch repo/v/a")
    site.folder.monitor.add(site.folder.root + "/v", recursive: true, handler: foreign)
    #expect(foreign.seen == ["", "a"])
  }
}
