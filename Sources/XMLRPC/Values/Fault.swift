/// An XML-RPC fault: what a method answers instead of a value.
///
/// Codes and texts are seen by clients and scripts and are those of the Python server: Bcfg2/bcfg2:
/// src/lib/Bcfg2/Server/BuiltinCore.py and Core.py, with the numbers of Python's xmlrpclib.
public struct Fault: Error, Sendable, Equatable {
  public var code: Int32
  public var string: String

  public init(code: Int32, string: String) {
    self.code = code
    self.string = string
  }

  /// An exception without a code of its own: Python answers `str(error)` with this code.
  public static let unexpectedCode: Int32 = 1
  /// xmlrpclib.PARSE_ERROR and NOT_WELLFORMED_ERROR.
  public static let parseErrorCode: Int32 = -32700
  /// xmlrpclib.UNSUPPORTED_ENCODING.
  public static let unsupportedEncodingCode: Int32 = -32701
  /// xmlrpclib.INVALID_ENCODING_CHAR.
  public static let invalidEncodingCharacterCode: Int32 = -32702
  /// xmlrpclib.SERVER_ERROR and INVALID_XMLRPC.
  public static let invalidXMLRPCCode: Int32 = -32600
  /// xmlrpclib.METHOD_NOT_FOUND: clients read it as "this server is older" and go on without the method.
  public static let methodNotFoundCode: Int32 = -32601
  /// xmlrpclib.INVALID_METHOD_PARAMS.
  public static let invalidMethodParametersCode: Int32 = -32602
  /// xmlrpclib.INTERNAL_ERROR.
  public static let internalErrorCode: Int32 = -32603
  /// xmlrpclib.APPLICATION_ERROR: every `critical_error` of the Python core.
  public static let applicationErrorCode: Int32 = -32500
  /// xmlrpclib.SYSTEM_ERROR.
  public static let systemErrorCode: Int32 = -32400
  /// xmlrpclib.TRANSPORT_ERROR.
  public static let transportErrorCode: Int32 = -32300

  /// What the core answers for its own refusals (`critical_error`): the message behind the prefix of Core.py.
  public static func critical(_ message: String) -> Fault {
    Fault(code: applicationErrorCode, string: "Critical failure: \(message)")
  }

  /// No exposed method has this name.
  public static func unknownMethod(_ name: String) -> Fault {
    Fault(code: methodNotFoundCode, string: "Unknown method \(name)")
  }

  /// A method failed with an error of its own: Python's `str(error)`.
  public static func failure(_ message: String) -> Fault {
    Fault(code: unexpectedCode, string: message)
  }

  /// An error outside of any method, as SSLServer.py tells it: the error's type, a colon, its text.
  public static func unexpected(type: String, message: String) -> Fault {
    Fault(code: unexpectedCode, string: "\(type):\(message)")
  }
}
