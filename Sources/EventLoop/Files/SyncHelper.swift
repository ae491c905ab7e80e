import CLinux
import Glibc

/// The helper process that waits for the disk.
///
/// A question is a kind in one byte and a descriptor (SCM_RIGHTS), which the helper synchronizes; the answer is an error
/// number. The descriptor is the same open file as the server's: fsync tells both of the same errors.
public nonisolated enum SyncHelper {
  /// What is asked for, and its byte.
  enum Kind: UInt8, Sendable {
    /// fsync(2).
    case file = 1
    /// syncfs(2).
    case fileSystem = 2
  }

  /// Bytes of an answer behind its number: an error number.
  static let codeBytes = 4
  static let process = HelperProcess(argument: "--sync-helper", name: "sync-helper", fileLimit: 16, serveOne: serveOne)

  /// Becomes a helper, and does not return, if the arguments say so: first thing in `@main`.
  public static func runIfAsked(_ arguments: [String] = CommandLine.arguments) { process.runIfAsked(arguments) }

  /// Waits for one descriptor and synchronizes it.
  static func serveOne(_ socket: Int32) -> HelperProcess.Step {
    let numberBytes = HelperProcess.numberBytes
    // The number, and the kind in one byte.
    var packet = [UInt8](repeating: 0, count: numberBytes + 1)
    var descriptor: Int32 = -1
    var count = clinux_receive_descriptor(socket, &packet, packet.count, &descriptor)
    while count == -1 && errno == EINTR {
      count = clinux_receive_descriptor(socket, &packet, packet.count, &descriptor)
    }
    if count == 0 { return .closed }
    guard descriptor >= 0 else { return .failed }
    let file = FileDescriptor(owning: descriptor)
    guard count == packet.count, let kind = Kind(rawValue: packet[numberBytes]) else { return .failed }
    let code = HelperProcess.bytes(of: UInt32(bitPattern: synchronize(file.rawValue, kind)))
    return HelperProcess.answer(packet.prefix(numberBytes) + code, socket)
  }

  /// Waits for the disk. Returns 0 or the error number.
  static func synchronize(_ descriptor: Int32, _ kind: Kind) -> Int32 {
    do throws(SystemError) {
      try check("fsync") { kind == .file ? fsync(descriptor) : clinux_syncfs(descriptor) }
      return 0
    } catch {
      return error.errno
    }
  }

  /// The error number of an answer, without the question's; nil for what is none.
  static func code(_ answer: ArraySlice<UInt8>) -> Int32? {
    answer.count == codeBytes ? Int32(bitPattern: HelperProcess.number(answer)) : nil
  }
}
