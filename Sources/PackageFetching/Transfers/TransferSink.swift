import CCurl
import EventLoop
import Glibc

/// What libcurl's callbacks fill: the file of one transfer, and what the headers of its answer say.
///
/// Nonisolated because C calls it; that is always while `Transfers` drives libcurl, on the main thread.
nonisolated final class TransferSink {
  private let file: FileDescriptor
  private let path: String
  private let limitBytes: Int
  /// How many bytes of an earlier attempt are in the file, and were asked to be continued.
  private let resumedFrom: Int

  /// The status of the answer; 0 for a scheme without one.
  private(set) var status = 0
  private(set) var validators = Validators()
  /// Bytes of the file so far.
  private(set) var size: Int
  /// Bytes that this transfer brought, those of an error's page too.
  private(set) var transferred = 0
  /// Why the transfer was ended from here.
  private(set) var refusal: Refusal?

  private var hasBegun = false
  private var isContinuation = false
  private var rangeStart: Int?
  private var contentLength: Int?

  enum Refusal {
    case tooLarge
    case system(SystemError)
    /// A page with an error that is too long to be read to its end.
    case errorPage
    case wrongRange
  }

  /// - Parameter resumedFrom: 0 to begin anew.
  init(path: String, resumedFrom: Int, limitBytes: Int) throws(SystemError) {
    file = try FileDescriptor.open(
      path, O_WRONLY | O_CREAT | O_NOFOLLOW | (resumedFrom == 0 ? O_TRUNC : 0), mode: 0o644)
    self.path = path
    self.limitBytes = limitBytes
    self.resumedFrom = resumedFrom
    size = resumedFrom
  }

  /// True where the bytes of the answer are the file's.
  private var isContent: Bool { status == 0 || (200..<300).contains(status) }

  // MARK: Headers

  /// Takes one line of the answer's head. Each answer of a chain of redirects begins anew.
  func header(_ line: UnsafeRawBufferPointer) {
    let text = line.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }
    if text.starts(with: "HTTP/".utf8) {
      validators = Validators()
      rangeStart = nil
      contentLength = nil
      let words = text.split(separator: UInt8(ascii: " "), maxSplits: 2)
      status = words.count > 1 ? Int(String(decoding: words[1], as: UTF8.self)) ?? 0 : 0
      return
    }
    guard let colon = text.firstIndex(of: UInt8(ascii: ":")) else { return }
    let name = String(decoding: text[..<colon], as: UTF8.self).lowercased()
    let value = Self.trimmed(text[(colon + 1)...])
    guard value.count <= 1024 else { return }
    let string = String(decoding: value, as: UTF8.self)
    switch name {
    case "etag": validators.etag = string
    case "last-modified": validators.lastModified = string
    case "content-length": contentLength = Int(string)
    case "content-range":
      // bytes 100-199/200
      guard let range = string.split(separator: " ").last, let first = range.split(separator: "-").first else { return }
      rangeStart = Int(first)
    default: return
    }
  }

  private static func trimmed(_ text: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
    let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
    guard let first = text.firstIndex(where: { !isBlank($0) }), let last = text.lastIndex(where: { !isBlank($0) })
    else { return text[text.endIndex...] }
    return text[first...last]
  }

  // MARK: Content

  /// Takes bytes of the answer's content.
  ///
  /// - Returns: false to end the transfer; `refusal` says why.
  func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
    transferred += bytes.count
    guard isContent else {
      if transferred > 256 << 10 { refusal = .errorPage }
      return refusal == nil
    }
    if !hasBegun {
      hasBegun = true
      guard begin() else { return false }
    }
    guard size + bytes.count <= limitBytes else {
      refusal = .tooLarge
      return false
    }
    var written = 0
    while written < bytes.count {
      let count = Glibc.write(file.rawValue, bytes.baseAddress! + written, bytes.count - written)
      if count < 0 {
        let code = errno
        if code == EINTR { continue }
        refusal = .system(SystemError(call: "write", errno: code, detail: path))
        return false
      }
      written += count
    }
    size += bytes.count
    return true
  }

  /// Decides whether the answer continues the file or is all of it: a server may ignore the range, and does so where the
  /// file has changed.
  private func begin() -> Bool {
    isContinuation = status == 206
    if isContinuation {
      guard resumedFrom > 0, rangeStart == resumedFrom else {
        refusal = .wrongRange
        return false
      }
    } else {
      size = 0
    }
    // A difference, since a sum may be more than a number holds.
    if let contentLength, contentLength > limitBytes - size {
      refusal = .tooLarge
      return false
    }
    if ftruncate(file.rawValue, off_t(size)) != 0 || lseek(file.rawValue, off_t(size), SEEK_SET) < 0 {
      refusal = .system(SystemError(call: "ftruncate", errno: errno, detail: path))
      return false
    }
    return true
  }

  /// Says that the answer is complete: an empty one leaves an empty file.
  func finish() -> Bool {
    if !hasBegun, isContent {
      hasBegun = true
      return begin()
    }
    return refusal == nil
  }
}

/// libcurl's callback for headers.
nonisolated func takeHeader(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let context else { return 0 }
  let sink = Unmanaged<TransferSink>.fromOpaque(context).takeUnretainedValue()
  sink.header(UnsafeRawBufferPointer(start: bytes, count: size * count))
  return size * count
}

/// libcurl's callback for content.
nonisolated func takeContent(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let context else { return 0 }
  let sink = Unmanaged<TransferSink>.fromOpaque(context).takeUnretainedValue()
  return sink.write(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
}
