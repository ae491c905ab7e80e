import CLinux
import Glibc

/// What inotify(7) watches for and reports, with the kernel's numbers.
public nonisolated struct InotifyMask: OptionSet, Sendable, Hashable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let access = InotifyMask(rawValue: 0x1)
  public static let modify = InotifyMask(rawValue: 0x2)
  public static let attributes = InotifyMask(rawValue: 0x4)
  public static let closeWrite = InotifyMask(rawValue: 0x8)
  public static let closeNoWrite = InotifyMask(rawValue: 0x10)
  public static let open = InotifyMask(rawValue: 0x20)
  public static let movedFrom = InotifyMask(rawValue: 0x40)
  public static let movedTo = InotifyMask(rawValue: 0x80)
  public static let create = InotifyMask(rawValue: 0x100)
  public static let delete = InotifyMask(rawValue: 0x200)
  public static let deleteSelf = InotifyMask(rawValue: 0x400)
  public static let moveSelf = InotifyMask(rawValue: 0x800)
  /// Reported only: the file system is gone.
  public static let unmount = InotifyMask(rawValue: 0x2000)
  /// Reported only, with watch -1: events were lost, and only a scan tells which.
  public static let overflow = InotifyMask(rawValue: 0x4000)
  /// Reported only: the watch ended, by removal or because its file is gone.
  public static let ignored = InotifyMask(rawValue: 0x8000)
  /// Asked only: refuse what is not a directory (ENOTDIR).
  public static let onlyDirectory = InotifyMask(rawValue: 0x100_0000)
  /// Asked only: watch a symbolic link itself.
  public static let dontFollow = InotifyMask(rawValue: 0x200_0000)
  /// Asked only: nothing of files after they are unlinked.
  public static let excludeUnlinked = InotifyMask(rawValue: 0x400_0000)
  /// Asked only: refuse a file that is watched already (EEXIST) instead of replacing its mask.
  public static let maskCreate = InotifyMask(rawValue: 0x1000_0000)
  /// Asked only: add to the mask of a file that is watched already.
  public static let maskAdd = InotifyMask(rawValue: 0x2000_0000)
  /// Reported only: the subject is a directory.
  public static let isDirectory = InotifyMask(rawValue: 0x4000_0000)
}

/// One record of inotify.
public nonisolated struct InotifyRecord: Hashable, Sendable {
  /// The watch that it is about; -1 for an overflow.
  public var watch: Int32
  public var mask: InotifyMask
  /// The same number in the two records of one rename; else 0.
  public var cookie: UInt32
  /// The file's name inside of the watched directory, without padding; empty if it is about the watched file itself.
  public var name: [UInt8]

  public init(watch: Int32, mask: InotifyMask, cookie: UInt32 = 0, name: [UInt8] = []) {
    self.watch = watch
    self.mask = mask
    self.cookie = cookie
    self.name = name
  }
}

/// An inotify instance: watches in, decoded records out. Its user registers ``descriptor`` on a loop.
@MainActor public final class Inotify {
  /// Bytes taken per read: some hundred records of usual names, at least 15 of the longest (16 + 256 bytes).
  static let bufferBytes = 4096 * 4

  private let owner: FileDescriptor
  private let buffer: UnsafeMutableRawBufferPointer

  /// - Throws: `SystemError` of inotify_init1: EMFILE at /proc/sys/fs/inotify/max_user_instances.
  public init() throws(SystemError) {
    owner = FileDescriptor(owning: try check("inotify_init1") { clinux_inotify_init() })
    buffer = .allocate(byteCount: Inotify.bufferBytes, alignment: 8)
  }

  isolated deinit { buffer.deallocate() }

  /// Readable while records wait. Closed with this object, so cancel its watcher first.
  public var descriptor: Int32 { owner.rawValue }

  /// Watches a file or directory, and returns the watch's number; that of the same inode if it is watched already.
  ///
  /// - Throws: `SystemError` of inotify_add_watch: ENOSPC at /proc/sys/fs/inotify/max_user_watches, ENOENT, EACCES.
  public func add(_ path: String, _ mask: InotifyMask) throws(SystemError) -> Int32 {
    try check("inotify_add_watch", path) { inotify_add_watch(owner.rawValue, path, mask.rawValue) }
  }

  /// Ends a watch, which reports `ignored`. A watch that the kernel ended before is no error: its record may still
  /// wait to be read.
  public func remove(_ watch: Int32) { _ = inotify_rm_watch(owner.rawValue, watch) }

  /// Returns the records of one read; empty when none wait. More may be left: the descriptor is then still readable.
  public func read() -> [InotifyRecord] {
    while true {
      let count = Glibc.read(owner.rawValue, buffer.baseAddress, buffer.count)
      if count >= 0 { return Inotify.decode(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
      let code = errno
      if code == EAGAIN { return [] }
      if code != EINTR { preconditionFailure("read of inotify: \(String(cString: strerror(code)))") }
    }
  }

  /// Decodes struct inotify_event records: watch, mask, cookie and length, 4 bytes each, then the name, padded with
  /// zeros to the length. Ends at a record that is not whole, which the kernel never gives.
  public nonisolated static func decode(_ bytes: UnsafeRawBufferPointer) -> [InotifyRecord] {
    let head = 16
    var records: [InotifyRecord] = []
    var offset = 0
    while bytes.count - offset >= head {
      let length = Int(bytes.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
      guard length <= bytes.count - offset - head else { break }
      let name = bytes[(offset + head)..<(offset + head + length)].prefix { $0 != 0 }
      records.append(
        InotifyRecord(
          watch: bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self),
          mask: InotifyMask(rawValue: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)),
          cookie: bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt32.self), name: [UInt8](name)))
      offset += head + length
    }
    return records
  }
}
