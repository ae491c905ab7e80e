/// Bytes in arrival order with a read index and a cap.
///
/// What is read is given back to the storage when the buffer empties or when more than half of it has been read, so a
/// buffer that is drained regularly neither moves its bytes at each read nor grows beyond `limitBytes`.
nonisolated public struct BoundedBuffer: Sendable {
  /// The most bytes the buffer holds at once.
  public let limitBytes: Int
  private var storage: [UInt8] = []
  private var readIndex = 0

  /// - Parameter limitBytes: the cap, 1 byte at least. No memory is taken before the first byte arrives.
  public init(limitBytes: Int) {
    precondition(limitBytes > 0, "a buffer needs room for one byte at least")
    self.limitBytes = limitBytes
  }

  /// Bytes that wait to be read.
  public var count: Int { storage.count - readIndex }

  /// Whether nothing waits to be read.
  public var isEmpty: Bool { storage.count == readIndex }

  /// Bytes that may still be appended before the cap is reached.
  public var freeBytes: Int { limitBytes - count }

  /// Appends as many of the bytes as the cap allows.
  ///
  /// - Returns: the number of bytes taken, from the front of `bytes`.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) -> Int {
    let taken = min(bytes.count, freeBytes)
    guard taken > 0 else { return 0 }
    if readIndex > 0, readIndex * 2 >= storage.count { compact() }
    storage.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[0..<taken]))
    return taken
  }

  /// Appends as many of the bytes as the cap allows; returns the number taken.
  public mutating func append(_ bytes: [UInt8]) -> Int {
    bytes.withUnsafeBytes { append($0) }
  }

  /// Lends the bytes that wait, oldest first. The pointer is valid during the call only.
  public func withReadableBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try storage.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[readIndex...])) }
  }

  /// Drops `byteCount` bytes from the front; it traps when fewer wait.
  public mutating func consume(_ byteCount: Int) {
    precondition(byteCount >= 0 && byteCount <= count, "consumed \(byteCount) of \(count) bytes")
    readIndex += byteCount
    if readIndex == storage.count { removeAll() }
  }

  /// Drops everything and gives the memory back, because most buffers belong to connections that will idle next.
  public mutating func removeAll() {
    storage = []
    readIndex = 0
  }

  private mutating func compact() {
    storage.removeSubrange(0..<readIndex)
    readIndex = 0
  }
}
