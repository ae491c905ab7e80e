import EventLoop
import Glibc
import Support
import Testing

struct InotifyTests {
  /// One record as the kernel lays it out, with a stated name length.
  private static func bytes(
    _ watch: Int32, _ mask: UInt32, _ cookie: UInt32, _ name: String, padding: Int = 0, length: Int? = nil
  ) -> [UInt8] {
    let name = Array(name.utf8) + [UInt8](repeating: 0, count: padding)
    var bytes: [UInt8] = []
    for word in [UInt32(bitPattern: watch), mask, cookie, UInt32(length ?? name.count)] {
      withUnsafeBytes(of: word) { bytes += $0 }
    }
    return bytes + name
  }

  private static func decode(_ bytes: [UInt8]) -> [InotifyRecord] {
    bytes.withUnsafeBytes { Inotify.decode($0) }
  }

  @Test func recordsAreDecoded() {
    let rows: [(bytes: [UInt8], records: [InotifyRecord])] = [
      ([], []),
      (
        InotifyTests.bytes(1, 0x8, 0, "a.xml", padding: 11),
        [InotifyRecord(watch: 1, mask: .closeWrite, name: Array("a.xml".utf8))]
      ),
      (InotifyTests.bytes(-1, 0x4000, 0, ""), [InotifyRecord(watch: -1, mask: .overflow)]),
      (InotifyTests.bytes(3, 0x8000, 0, ""), [InotifyRecord(watch: 3, mask: .ignored)]),
      (
        InotifyTests.bytes(2, 0x4000_0040, 77, "old", padding: 13)
          + InotifyTests.bytes(2, 0x4000_0080, 77, "new", padding: 1),
        [
          InotifyRecord(watch: 2, mask: [.movedFrom, .isDirectory], cookie: 77, name: Array("old".utf8)),
          InotifyRecord(watch: 2, mask: [.movedTo, .isDirectory], cookie: 77, name: Array("new".utf8)),
        ]
      ),
      // A name that fills its length without padding; a name of padding only.
      (
        InotifyTests.bytes(1, 0x100, 0, "0123456789abcdef"),
        [InotifyRecord(watch: 1, mask: .create, name: Array("0123456789abcdef".utf8))]
      ),
      (InotifyTests.bytes(1, 0x200, 0, "", padding: 16), [InotifyRecord(watch: 1, mask: .delete)]),
      // A name that ends before its length, after a whole record.
      (
        InotifyTests.bytes(1, 0x2, 0, "") + InotifyTests.bytes(1, 0x2, 0, "cut", length: 16),
        [InotifyRecord(watch: 1, mask: .modify)]
      ),
      (InotifyTests.bytes(1, 0x2, 0, "", length: Int(UInt32.max)), []),
    ]
    for row in rows { #expect(InotifyTests.decode(row.bytes) == row.records) }
  }

  @Test func bytesCutAnywhereGiveTheWholeRecordsBefore() {
    let first = InotifyTests.bytes(1, 0x8, 0, "one", padding: 13)
    let all = first + InotifyTests.bytes(2, 0x100, 0, "two", padding: 13)
    for count in 0..<all.count {
      #expect(InotifyTests.decode(Array(all[..<count])).count == (count < first.count ? 0 : 1))
    }
  }

  @Test func theKernelReportsOnTheLoop() throws {
    let loop = try Reactor()
    let folder = TemporaryDirectory()
    let inotify = try Inotify()
    #expect(inotify.read() == [])
    let watch = try inotify.add(folder.path, [.closeWrite, .movedFrom, .movedTo, .onlyDirectory])
    var records: [InotifyRecord] = []
    let watcher = try loop.register(inotify.descriptor, interest: .read) { _ in records += inotify.read() }
    let path = folder.write("x", to: "a")
    rename(path, folder.file("b"))
    #expect(LoopDriver.run(loop) { records.count >= 3 })
    #expect(records.map(\.mask) == [.closeWrite, .movedFrom, .movedTo])
    #expect(records.map(\.name) == ["a", "a", "b"].map { Array($0.utf8) })
    #expect(records[1].cookie != 0 && records[1].cookie == records[2].cookie)
    records = []
    inotify.remove(watch)
    inotify.remove(watch)
    #expect(LoopDriver.run(loop) { records == [InotifyRecord(watch: watch, mask: .ignored)] })
    let error = #expect(throws: SystemError.self) { try inotify.add(folder.file("b"), [.create, .onlyDirectory]) }
    #expect(error?.description == "inotify_add_watch \(folder.file("b")): Not a directory")
    watcher.cancel()
  }
}
