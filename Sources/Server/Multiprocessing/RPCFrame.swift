import EventLoop
import XMLRPC

/// A message between parent and child of the multiprocessing core: a `FrameHeader` and a payload.
struct RPCFrame {
  /// The type of the payload.
  enum Kind: UInt8 {
    /// To the child: a method call in XML-RPC; request 0 wants no answer.
    case call = 1
    /// To the child: build a configuration. A byte of `RenderRequest.HookSet`, then the client's name.
    case render = 2
    /// To the child: answer with `alive`.
    case ping = 3
    /// From the child: it has read the repository and can build.
    case ready = 16
    /// From the child: the document, escaped for an XML-RPC string.
    case configuration = 17
    /// From the child: an error in place of the document: see `RPCError`.
    case failure = 18
    /// From the child: a method response in XML-RPC.
    case value = 19
    /// From the child: the build has to write to the repository, so the parent must do it.
    case refused = 20
    /// From the child: hooks that it is about to run, a byte of `RenderRequest.HookSet`.
    case hooks = 21
    /// From the child: a log record, with the number of the build during which it was logged; 0 outside of builds.
    case log = 22
    /// From the child: the answer to a ping.
    case alive = 23
    /// From the child, before a cacheable configuration: see `CacheableParts`.
    case cacheable = 24
    /// From the child: a build changed something that concerns all clients, such as a group that a connector defines.
    case repositoryChanged = 25
    /// From the child, before a configuration: what it has cost, see `CallCost`.
    case cost = 26
  }

  /// Most bytes of a payload: more than a client's XML parser accepts.
  static let payloadLimitBytes = 1 << 30

  let kind: Kind
  /// The number that an answer shares with its request; 0 without an answer.
  let request: UInt64
  /// A large payload stays in the pieces in which it arrived.
  let segments: ByteSegments

  /// The payload in one array; a small one is not copied.
  var payload: [UInt8] { segments.bytes() }

  /// The header of a frame.
  static func header(_ kind: Kind, request: UInt64, payloadBytes: Int) -> [UInt8] {
    precondition(payloadBytes <= payloadLimitBytes, "a frame of \(payloadBytes) bytes")
    return [UInt8](unsafeUninitializedCapacity: FrameHeader.byteCount) { buffer, count in
      FrameHeader(kind: kind.rawValue, request: request, payloadBytes: payloadBytes)
        .write(to: UnsafeMutableRawBufferPointer(buffer))
      count = FrameHeader.byteCount
    }
  }

  /// Reads a header; nil if it is invalid.
  static func parse(_ header: ArraySlice<UInt8>) -> (kind: Kind, request: UInt64, payloadBytes: Int)? {
    guard let header = FrameHeader(header, limitBytes: payloadLimitBytes), let kind = Kind(rawValue: header.kind) else {
      return nil
    }
    return (kind, header.request, header.payloadBytes)
  }
}
