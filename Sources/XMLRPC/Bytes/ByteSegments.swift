/// Bytes of an answer as a list of segments, so that what many answers have in common is held once.
///
/// A segment is an ordinary array: appending one that another answer also holds costs a reference, not a copy. A run of
/// segments that answers have in common can be one `SharedSegments`, so that a second answer costs a reference for all
/// of them. The transport writes segment after segment; `bytes()` is for tests and for answers known to be small.
public struct ByteSegments: Sendable {
  /// What the list is made of.
  public enum Part: Sendable {
    case bytes([UInt8])
    case shared(SharedSegments)
  }

  /// The parts in order; none of them is empty.
  public private(set) var parts: [Part]
  /// Length of all parts together, in bytes: what Content-Length says.
  public private(set) var count: Int

  public init() {
    parts = []
    count = 0
  }

  /// One segment, or none if `bytes` is empty.
  public init(_ bytes: [UInt8]) {
    self.init()
    append(bytes)
  }

  /// The UTF-8 bytes of `text` as one segment.
  public init(_ text: String) {
    self.init([UInt8](text.utf8))
  }

  public var isEmpty: Bool { count == 0 }

  /// Makes room for parts that are about to be appended.
  public mutating func reserveCapacity(_ partCount: Int) { parts.reserveCapacity(partCount) }

  /// Appends a segment without copying its bytes; an empty one is left out.
  public mutating func append(_ bytes: [UInt8]) {
    guard !bytes.isEmpty else { return }
    parts.append(.bytes(bytes))
    count += bytes.count
  }

  /// Appends a run of segments that other answers have too.
  public mutating func append(_ shared: SharedSegments) {
    guard shared.count > 0 else { return }
    parts.append(.shared(shared))
    count += shared.count
  }

  /// Appends the segments of another list; their storage is shared.
  public mutating func append(contentsOf other: ByteSegments) {
    parts.append(contentsOf: other.parts)
    count += other.count
  }

  /// The segments in order, runs of them taken apart.
  public var segments: [[UInt8]] {
    parts.flatMap { part in
      switch part {
      case .bytes(let bytes): [bytes]
      case .shared(let shared): shared.segments
      }
    }
  }

  /// All bytes in one array. A list of one segment gives that segment, without a copy.
  public func bytes() -> [UInt8] {
    if parts.count == 1, case .bytes(let bytes) = parts[0] { return bytes }
    var all: [UInt8] = []
    all.reserveCapacity(count)
    forEachSegment { all.append(contentsOf: $0) }
    return all
  }

  /// Calls `body` with each segment in order.
  public func forEachSegment(_ body: ([UInt8]) throws -> Void) rethrows {
    for part in parts {
      switch part {
      case .bytes(let bytes): try body(bytes)
      case .shared(let shared): for segment in shared.segments { try body(segment) }
      }
    }
  }
}

extension ByteSegments: Equatable {
  /// Equal bytes, however they are cut into segments.
  public static func == (left: ByteSegments, right: ByteSegments) -> Bool {
    left.count == right.count && left.bytes() == right.bytes()
  }
}

/// A run of segments that several answers hold: a bundle that came out the same for many clients.
public final class SharedSegments: Sendable {
  /// The segments in order; none of them is empty.
  public let segments: [[UInt8]]
  /// Length of all segments together, in bytes.
  public let count: Int
  /// Bytes of the segments that are held for this run alone; others are contents that somebody else holds too.
  public let ownBytes: Int
  /// A hash of the bytes, by which an equal run is found.
  public let hash: UInt64

  /// - Parameter segments: without empty ones.
  public init(_ segments: [[UInt8]], ownBytes: Int, hash: UInt64) {
    self.segments = segments
    self.ownBytes = ownBytes
    self.hash = hash
    count = segments.reduce(0) { $0 + $1.count }
  }
}
