/// Every limit of a request's bytes, from the request line to the values of the decoded call.
///
/// A limit is the largest size that passes; one more is refused with the status in the comment. The name of the
/// property is the reason that `HTTPRequestParser.Step.reject` and `XMLError` give, so that an administrator finds it
/// here. Deadlines and numbers of connections are the server's, not the parser's.
public struct HTTPLimits: Sendable, Equatable {
  /// Request line without its CRLF, bytes; else 414. 8000 is what RFC 9112 section 3 asks every server to support.
  public var requestLineBytes = 8192
  /// Method name, bytes; else 501. The longest registered method has 17.
  public var methodBytes = 32
  /// Empty lines before the request line; else 400. RFC 9112 section 2.2 asks for at least one.
  public var leadingEmptyLines = 4
  /// All header lines with their CRLFs, bytes; else 431. A client sends under 400 bytes; the peer is not yet known.
  public var headerBytes = 32768
  /// Header lines, and trailer lines again; else 431.
  public var headerCount = 100
  /// Body after chunk decoding, bytes; else 413. Statistics with large failed files are tens of MiB.
  public var bodyBytes = 64 << 20
  /// A chunk-size line with its extensions, without CRLF, bytes; else 400.
  public var chunkLineBytes = 256
  /// All chunk extensions of one body, bytes; else 400: RFC 9112 section 7.1.1 asks for a bound on the total.
  public var chunkExtensionBytes = 4096
  /// All trailer lines with their CRLFs, bytes; else 431. They are checked and dropped.
  public var trailerBytes = 8192
  /// Bytes that `feed` keeps while the caller has not accepted the body; else 413. `consume` keeps none.
  public var unreadBytes = 65536

  /// Open XML elements at once. An array in an array takes three; no Bcfg2 call nests more than three arrays.
  public var xmlDepth = 64
  /// Text between two tags, bytes. One string (statistics, probe output) may fill a body.
  public var xmlTextBytes = 64 << 20
  /// Value of one attribute, bytes. XML-RPC defines none; namespace declarations and `xsi:type` are met.
  public var xmlAttributeBytes = 4096
  /// Attributes of one element.
  public var xmlAttributeCount = 16
  /// Name of an element, an attribute or a processing instruction, bytes.
  public var xmlNameBytes = 256
  /// Values in one call, counted with array elements and structure members: each costs more memory than wire bytes.
  public var callValues = 100_000
  /// Method name of a call, bytes.
  public var methodNameBytes = 256
  /// Argument of a call that is a name or a version, bytes; probe data and statistics are documents, and larger.
  public var argumentBytes = 1024

  /// Memory for what is read from a request, bytes, whatever its size; `requestBytesPerByte` adds to it.
  public var requestBytes = 16 << 20
  /// And for each byte of its body, bytes. A text is held as body, as value, as document and as what is kept.
  public var requestBytesPerByte = 8
  /// Elements, attributes, values and members in all that one request holds: XML-RPC, XML, JSON, YAML.
  public var requestElements = 500_000
  /// Lines of a request that are looked at one by one: those of probes. They cost time, and no memory.
  public var requestLines = 1_000_000
  /// Distinct names in one request, bytes: tags with their namespaces, attributes, members. A name is kept once.
  public var requestNameBytes = 4 << 20
  /// Steps of regular expressions in one request that matches of more than a few hundred take: about 60 milliseconds.
  public var requestRegexSteps = 2_000_000
  /// Namespace declarations in force at one place of a document. Clients have none.
  public var xmlNamespaces = 64
  /// Name of a namespace, bytes.
  public var xmlNamespaceBytes = 1024

  public init() {}

  /// The same without bounds on what is read in all: for files of the server's own.
  public var withoutRequestBounds: HTTPLimits {
    var limits = self
    limits.requestBytes = .max
    limits.requestElements = .max
    limits.requestLines = .max
    limits.requestNameBytes = .max
    limits.requestRegexSteps = .max
    return limits
  }
}
