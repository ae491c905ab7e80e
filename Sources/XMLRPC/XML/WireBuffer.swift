/// A buffer of bytes to write that is reused, and allocates nothing once it is large enough.
///
/// What an array would check with every append (sole ownership, bounds) is checked by its type here: nobody else can
/// hold it.
public struct WireBuffer: ~Copyable {
  @usableFromInline var base: UnsafeMutablePointer<UInt8>
  @usableFromInline var capacity: Int
  /// Bytes written.
  public private(set) var count = 0
  /// True once a character was replaced because XML forbids it. The writer resets it.
  public var sawForbidden = false

  /// - Parameter capacity: bytes that are certain to be wanted.
  public init(capacity: Int) {
    self.capacity = max(capacity, 64)
    base = .allocate(capacity: self.capacity)
  }

  deinit { base.deallocate() }

  /// Makes room for so many bytes more, and lends the place where they go; `advance` says how many were written.
  @inline(__always)
  mutating func room(_ byteCount: Int) -> UnsafeMutablePointer<UInt8> {
    if capacity - count < byteCount { grow(byteCount) }
    return base + count
  }

  @inline(__always)
  mutating func advance(_ byteCount: Int) { count += byteCount }

  @inline(never)
  private mutating func grow(_ byteCount: Int) {
    let larger = max(capacity * 2, count + byteCount)
    let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
    moved.update(from: base, count: count)
    base.deallocate()
    base = moved
    capacity = larger
  }

  /// Appends bytes as they are.
  public mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard let source = bytes.baseAddress else { return }
    room(bytes.count).update(from: source, count: bytes.count)
    advance(bytes.count)
  }

  /// Appends markup.
  public mutating func append(_ text: StaticString) {
    append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// Appends text that needs no escape: a name.
  public mutating func append(_ text: String) {
    var text = text
    text.withUTF8 { append($0) }
  }

  /// Appends bytes as they are.
  public mutating func append(_ bytes: [UInt8]) {
    bytes.withUnsafeBufferPointer { append($0) }
  }

  /// Drops what was written last.
  public mutating func truncate(to byteCount: Int) { count = min(count, byteCount) }

  /// The bytes, lent.
  public borrowing func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) throws -> Result) rethrows -> Result {
    try body(UnsafeBufferPointer(start: base, count: count))
  }
}
