import EventLoop
import Testing

@Test func aHeaderIsReadAsItWasWritten() {
  let table: [(FrameHeader, [UInt8])] = [
    (FrameHeader(kind: 1, request: 0, payloadBytes: 0), [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    (
      FrameHeader(kind: 0xFE, request: 0x0102_0304_0506_0708, payloadBytes: 0x0A0B_0C0D),
      [0x0D, 0x0C, 0x0B, 0x0A, 0xFE, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1]
    ),
  ]
  for (header, bytes) in table {
    let written = [UInt8](unsafeUninitializedCapacity: FrameHeader.byteCount) { buffer, count in
      header.write(to: UnsafeMutableRawBufferPointer(buffer))
      count = FrameHeader.byteCount
    }
    #expect(written == bytes)
    #expect(FrameHeader(bytes[...], limitBytes: header.payloadBytes) == header)
    // Behind other bytes, and with more behind it.
    #expect(FrameHeader(([9, 9, 9] + bytes + [9]).dropFirst(3), limitBytes: .max) == header)
    #expect(FrameHeader(bytes.dropLast(), limitBytes: .max) == nil)
    #expect(FrameHeader(bytes[...], limitBytes: header.payloadBytes - 1) == nil)
    for index in 5...7 {
      var wrong = bytes
      wrong[index] = 1
      #expect(FrameHeader(wrong[...], limitBytes: .max) == nil, "byte \(index) is 0")
    }
  }
}
