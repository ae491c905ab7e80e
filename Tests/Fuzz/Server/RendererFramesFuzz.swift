@testable import Server
@testable import Templates

/// Reads the bytes as a renderer's messages, in pieces and at once: no trap, the same frames either way, and what was read
/// is written and read again as the same.
func fuzzRendererFrames(_ bytes: [UInt8]) {
  // The first byte says where to cut.
  guard let first = bytes.first else { return }
  let input = Array(bytes.dropFirst())
  let cut = min(Int(first), input.count)
  let whole = frames([input[...]])
  let cutUp = frames([input[..<cut], input[cut...]])
  precondition(whole.isBroken == cutUp.isBroken, "pieces change what is a frame")
  precondition(whole.frames.count == cutUp.frames.count, "pieces change the frames")
  for (one, other) in zip(whole.frames, cutUp.frames) {
    precondition(one.kind == other.kind && one.request == other.request && one.value == other.value)
    _ = RenderResult(one.value)
    _ = TemplateTool.description(one.value)
    guard let again = RendererFrame.encode(one.kind, request: one.request, one.value) else { continue }
    let back = frames([again[...]]).frames
    precondition(back.count == 1 && back[0].value == one.value, "a value does not come back")
  }
}

private func frames(_ pieces: [ArraySlice<UInt8>]) -> (frames: [RendererFrame], isBroken: Bool) {
  var parser = RendererFrameParser()
  var found: [RendererFrame] = []
  for piece in pieces {
    Array(piece).withUnsafeBytes { parser.append($0) }
    while let frame = parser.next() { found.append(frame) }
  }
  return (found, parser.failure != nil)
}
