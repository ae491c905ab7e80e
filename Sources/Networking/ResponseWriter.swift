import XMLRPC

/// How far a response is written. Its segments are shared with the response and never copied whole.
nonisolated struct ResponseWriter {
  private let head: [UInt8]
  private let segments: ByteSegments
  /// Whether the connection takes another request afterwards.
  let keepsAlive: Bool
  private var place = Place()
  /// Where the bytes that were lent last end, and their number.
  private var staged: (place: Place, count: Int)?
  private(set) var remaining: Int

  /// A part, a segment of it, and a byte of that. The part before the first is the head.
  private struct Place {
    var part = -1
    var segment = 0
    var offset = 0
  }

  init(head: [UInt8], body: ByteSegments, keepsAlive: Bool) {
    self.head = head
    segments = body
    self.keepsAlive = keepsAlive
    remaining = head.count + body.count
  }

  /// Lends the next bytes: a piece of a long segment as it lies there, or short segments put together in `stage`, so
  /// that headers and body leave in one send.
  mutating func withNextBytes<Result>(
    staging stage: UnsafeMutableRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    staged = nil
    let length = segmentCount(place)
    if length - place.offset >= stage.count || length - place.offset == remaining {
      return withSegment(place) {
        let end = min($0.count, place.offset + stage.count)
        return body(UnsafeRawBufferPointer(rebasing: $0[place.offset..<end]))
      }
    }
    var room = UnsafeMutableRawBufferPointer(rebasing: stage[0..<min(stage.count, remaining)])
    let filled = room.count
    var next = place
    while !room.isEmpty {
      let isWhole: Bool
      if next.part < 0 {
        isWhole = Self.copy(head, &next, &room)
      } else {
        switch segments.parts[next.part] {
        case .bytes(let bytes): isWhole = Self.copy(bytes, &next, &room)
        case .shared(let shared): isWhole = Self.copy(shared.segments, &next, &room)
        }
      }
      if isWhole { next = Place(part: next.part + 1) }
    }
    staged = (next, filled)
    return body(UnsafeRawBufferPointer(rebasing: stage[0..<filled]))
  }

  /// Copies from the segments of one part, from the place on; true where all of them were.
  private static func copy(
    _ segments: [[UInt8]], _ place: inout Place, _ room: inout UnsafeMutableRawBufferPointer
  ) -> Bool {
    while copy(segments[place.segment], &place, &room) {
      place.segment += 1
      place.offset = 0
      if place.segment == segments.count { return true }
    }
    return false
  }

  /// Copies from one segment, from the place on; true where all of it was.
  private static func copy(
    _ segment: [UInt8], _ place: inout Place, _ room: inout UnsafeMutableRawBufferPointer
  ) -> Bool {
    let count = min(segment.count - place.offset, room.count)
    segment.withUnsafeBytes { bytes in
      guard let from = bytes.baseAddress, let to = room.baseAddress else { return }
      to.copyMemory(from: from + place.offset, byteCount: count)
    }
    room = UnsafeMutableRawBufferPointer(rebasing: room[count...])
    place.offset += count
    return place.offset == segment.count
  }

  /// Advances by the bytes that the transport took.
  mutating func advance(_ byteCount: Int) {
    precondition(byteCount <= remaining, "the transport took more than there is")
    remaining -= byteCount
    if let staged, staged.count == byteCount {
      place = staged.place
    } else {
      advance(&place, by: byteCount)
    }
    staged = nil
  }

  private func advance(_ place: inout Place, by byteCount: Int) {
    var left = byteCount
    while left > 0 {
      let rest = segmentCount(place) - place.offset
      if left < rest {
        place.offset += left
        return
      }
      left -= rest
      place.offset = 0
      place.segment += 1
      if place.segment == segmentsInPart(place.part) {
        place.part += 1
        place.segment = 0
      }
    }
  }

  private func segmentsInPart(_ part: Int) -> Int {
    if part < 0 { return 1 }
    return switch segments.parts[part] {
    case .bytes: 1
    case .shared(let shared): shared.segments.count
    }
  }

  private func segmentCount(_ place: Place) -> Int {
    if place.part < 0 { return head.count }
    return switch segments.parts[place.part] {
    case .bytes(let bytes): bytes.count
    case .shared(let shared): shared.segments[place.segment].count
    }
  }

  private func withSegment<Result>(_ place: Place, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    if place.part < 0 { return head.withUnsafeBytes(body) }
    return switch segments.parts[place.part] {
    case .bytes(let bytes): bytes.withUnsafeBytes(body)
    case .shared(let shared): shared.segments[place.segment].withUnsafeBytes(body)
    }
  }
}
