import Core
import Identity
import Repository
import XMLRPC

/// What makes a configuration one that the parent may keep: how it is cut, and the revision that it shows. A child sends
/// it ahead of the document, where files, settings and the client's own data alone decide what the document is.
///
/// On the wire, in the machine's byte order: number of parts and the length of each in bytes (UInt32), the revision.
struct KeepableParts: Equatable {
  let partBytes: [Int]
  let revision: String

  init(of document: ByteSegments, revision: String) {
    partBytes = document.parts.map { part in
      switch part {
      case .bytes(let bytes): bytes.count
      case .shared(let shared): shared.count
      }
    }
    self.revision = revision
  }

  /// nil for what is none.
  init?(_ bytes: [UInt8]) {
    func number(_ index: Int) -> Int? {
      guard 4 * index + 4 <= bytes.count else { return nil }
      return Int(bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self) })
    }
    guard let count = number(0), 4 * (count + 1) <= bytes.count else { return nil }
    partBytes = (0..<count).compactMap { number($0 + 1) }
    revision = String(decoding: bytes[(4 * (count + 1))...], as: UTF8.self)
  }

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    for number in [partBytes.count] + partBytes {
      withUnsafeBytes(of: UInt32(number)) { bytes.append(contentsOf: $0) }
    }
    return bytes + Array(revision.utf8)
  }

  /// The same bytes, cut into these parts; nil where they are not as many.
  ///
  /// - Parameter known: finds a run with the same bytes that is there already.
  func cut(_ received: ByteSegments, like known: (borrowing StructureDraft) -> SharedSegments?) -> ByteSegments? {
    guard received.count == partBytes.reduce(0, +) else { return nil }
    let pieces = received.segments
    var (piece, offset) = (0, 0)
    var document = ByteSegments()
    document.reserveCapacity(partBytes.count)
    var draft = StructureDraft()
    for bytes in partBytes {
      draft.removeAll()
      while draft.buffer.count < bytes {
        let count = min(pieces[piece].count - offset, bytes - draft.buffer.count)
        pieces[piece].withUnsafeBufferPointer {
          draft.buffer.append(UnsafeBufferPointer(rebasing: $0[offset..<offset + count]))
        }
        offset += count
        if offset == pieces[piece].count { (piece, offset) = (piece + 1, 0) }
      }
      document.append(known(draft) ?? draft.shared())
    }
    return document
  }
}

/// One configuration on its way through the children: what of it was already done by a child that is gone.
final class RenderRequest {
  /// Hooks of a client's run that a child has begun; they run once, however often the build is repeated.
  nonisolated struct HookSet: OptionSet, Sendable {
    let rawValue: UInt8
    static let start = HookSet(rawValue: 1)
    static let end = HookSet(rawValue: 2)

    /// The set of one stage; empty for one that is the parent's.
    init(_ stage: ClientRunStage) {
      switch stage {
      case .start: self = .start
      case .end: self = .end
      case .statistics: self = []
      }
    }

    init(rawValue: UInt8) { self.rawValue = rawValue }
  }

  let client: ClientName
  var begunHooks: HookSet = []
  /// Set with the answer, where it may be given again.
  var keepable: KeepableParts?
  private var crashes = 0
  private var hangs = 0
  private var ends = 0

  init(client: ClientName) { self.client = client }

  /// True once a child ended by a fault of its own while it had this request: then the parent does not try it.
  var isSuspect: Bool { crashes + hangs > 0 }

  /// Takes note of the end of the child that had the request.
  ///
  /// - Returns: false where another child must not be risked: the request ended two by a crash, three by hanging, or
  ///   ten by whatever killed them.
  func lost(_ end: ChildEnd) -> Bool {
    switch end {
    case .crashed: crashes += 1
    case .hung: hangs += 1
    case .ended: ends += 1
    }
    return crashes < 2 && hangs < 3 && ends < 10
  }
}
