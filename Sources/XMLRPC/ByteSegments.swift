/// Bytes of an answer as a list of segments, so that what many answers have in common is held once.
///
/// A segment is an ordinary array: appending one that another answer also holds costs a reference, not a copy.
/// The transport writes segment after segment; `bytes()` is for tests and for answers known to be small.
public struct ByteSegments: Sendable {
  /// The segments in order; none of them is empty.
  public private(set) var segments: [[UInt8]]
  /// Length of all segments together, in bytes: what Content-Length says.
  public private(set) var count: Int

  public init() {
    segments = []
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

  /// Appends a segment without copying its bytes; an empty one is left out.
  public mutating func append(_ bytes: [UInt8]) {
    guard !bytes.isEmpty else { return }
    segments.append(bytes)
    count += bytes.count
  }

  /// Appends the segments of another list; their storage is shared.
  public mutating func append(contentsOf other: ByteSegments) {
    segments.append(contentsOf: other.segments)
    count += other.count
  }

  /// All bytes in one array. A list of one segment gives that segment, without a copy.
  public func bytes() -> [UInt8] {
    if segments.count == 1 { return segments[0] }
    var all: [UInt8] = []
    all.reserveCapacity(count)
    for segment in segments { all.append(contentsOf: segment) }
    return all
  }
}

extension ByteSegments: Equatable {
  /// Equal bytes, however they are cut into segments.
  public static func == (left: ByteSegments, right: ByteSegments) -> Bool {
    guard left.count == right.count else { return false }
    return left.segments == right.segments || left.bytes() == right.bytes()
  }
}
