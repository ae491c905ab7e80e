import Core
import Identity
import Repository
import ServerSettings
import XMLRPC

/// How a cacheable configuration is divided into parts, and its revision. A child sends it before the document if
/// files, settings and the client's own data alone decide the document.
///
/// On the wire, in the machine's byte order: number of parts and the length of each in bytes (UInt32), the revision.
struct CacheableParts: Equatable {
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

  /// nil for malformed bytes.
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

  /// Divides the bytes into these parts; nil if the lengths do not add up.
  ///
  /// - Parameter known: finds an existing run with the same bytes.
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

/// One request for a configuration, with what previous children already did for it.
final class RenderRequest {
  /// Hooks of a client's run that a child has started; they run once, however often the build is repeated.
  nonisolated struct HookSet: OptionSet, Sendable {
    let rawValue: UInt8
    static let start = HookSet(rawValue: 1)
    static let end = HookSet(rawValue: 2)

    /// The set of one stage; empty for a stage of the parent.
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
  /// What the log says of it, also in lines of a child.
  let label: RequestLabel?
  /// Of the call that it is part of.
  let cost: CallCost?
  var begunHooks: HookSet = []
  /// Set with the answer if it may be cached.
  var cacheable: CacheableParts?
  private var crashes = 0
  private var hangs = 0
  private var ends = 0

  init(client: ClientName, label: RequestLabel? = nil, cost: CallCost? = nil) {
    self.client = client
    self.label = label
    self.cost = cost
  }

  /// True once a child crashed or hung with this request: the parent must not try it then.
  var isSuspect: Bool { crashes + hangs > 0 }

  /// Records the end of the child that had the request.
  ///
  /// - Returns: false if no other child may be risked: the request ended two by a crash, three by hanging, or ten in
  ///   any way.
  func lost(_ end: ChildEnd) -> Bool {
    switch end {
    case .crashed: crashes += 1
    case .hung: hangs += 1
    case .ended: ends += 1
    }
    return crashes < 2 && hangs < 3 && ends < 10
  }
}
