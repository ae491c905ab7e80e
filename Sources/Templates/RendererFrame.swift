import EventLoop

/// One message between server and renderer: a `FrameHeader` and a payload in marshal's form. The other end is
/// renderer/wire.py.
nonisolated struct RendererFrame {
  enum Kind: UInt8, Sendable {
    /// To the renderer: settings, and its program.
    case start = 1
    /// To the renderer: what is known of a client.
    case client = 2
    /// To the renderer: templates to render for one client.
    case render = 3
    /// To the renderer: the answer to the question of that request.
    case answer = 4
    /// From the renderer: it is ready.
    case ready = 16
    /// From the renderer: a question, which it waits for.
    case question = 17
    /// From the renderer: what became of one template of that request.
    case result = 18
    /// From the renderer: a line for the log.
    case log = 19
    /// From the renderer: a file that a template begins to read, the first time in this process.
    case file = 20
  }

  /// Most bytes of a payload, in both directions; the same in renderer/wire.py.
  static let payloadLimitBytes = 1 << 28

  let kind: Kind
  let request: UInt64
  let value: TemplateValue

  /// The bytes of a frame; nil where its payload is too large.
  static func encode(_ kind: Kind, request: UInt64, _ value: TemplateValue) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: FrameHeader.byteCount)
    PythonMarshal.append(value, to: &bytes)
    let count = bytes.count - FrameHeader.byteCount
    guard count <= payloadLimitBytes else { return nil }
    bytes.withUnsafeMutableBytes {
      FrameHeader(kind: kind.rawValue, request: request, payloadBytes: count).write(to: $0)
    }
    return bytes
  }
}

/// Puts frames together from the pieces in which their bytes come.
nonisolated struct RendererFrameParser {
  /// The most bytes of a payload; looked at for each frame.
  var limitBytes = RendererFrame.payloadLimitBytes
  /// What is wrong; nothing more is read then.
  private(set) var failure: PythonMarshal.FormError?
  private var pending: [UInt8] = []
  private var start = 0

  /// Adds bytes: `next` then returns the frames that they complete.
  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    if failure == nil { pending.append(contentsOf: bytes) }
  }

  /// The next frame; nil where it is not complete, or none: see `failure`.
  mutating func next() -> RendererFrame? {
    guard failure == nil, pending.count - start >= FrameHeader.byteCount else { return settle() }
    do throws(PythonMarshal.FormError) {
      let bytes = pending[start..<(start + FrameHeader.byteCount)]
      guard let header = FrameHeader(bytes, limitBytes: RendererFrame.payloadLimitBytes),
        let kind = RendererFrame.Kind(rawValue: header.kind)
      else {
        throw PythonMarshal.FormError(description: "it sent a message that makes no sense")
      }
      guard header.payloadBytes <= limitBytes else {
        throw PythonMarshal.FormError(description: "it sent a message of \(header.payloadBytes) bytes")
      }
      let body = start + FrameHeader.byteCount
      guard pending.count - body >= header.payloadBytes else { return settle() }
      start = body + header.payloadBytes
      let value = try PythonMarshal.decode(pending[body..<start])
      return RendererFrame(kind: kind, request: header.request, value: value)
    } catch {
      failure = error
      pending = []
      start = 0
      return nil
    }
  }

  /// The socket has nothing more: returns what was read.
  private mutating func settle() -> RendererFrame? {
    if start == pending.count {
      // A large array that was needed once is not kept.
      if pending.capacity > 1 << 20 { pending = [] } else { pending.removeAll(keepingCapacity: true) }
    } else if start > 0 {
      pending.removeFirst(start)
    }
    start = 0
    return nil
  }
}
