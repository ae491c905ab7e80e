/// What a server said a file is, to ask again only for what has changed.
package nonisolated struct Validators: Hashable, Sendable {
  /// The text of `ETag`, with its quotes.
  package var etag: String?
  /// The text of `Last-Modified`.
  package var lastModified: String?

  package init(etag: String? = nil, lastModified: String? = nil) {
    self.etag = etag
    self.lastModified = lastModified
  }

  package var isEmpty: Bool { etag == nil && lastModified == nil }

  /// What `If-Range` may say: a strong ETag, or else the date. A weak ETag does not promise equal bytes (RFC 9110, 13.1.5).
  var ofRange: String? {
    if let etag, !etag.hasPrefix("W/") { return etag }
    return lastModified
  }
}

/// One file to transfer.
package nonisolated struct TransferRequest: Sendable {
  package let url: SourceURL
  /// Where the bytes go.
  package let path: String
  /// What the last transfer of this file had; the server is asked to send it only if it has changed since.
  package var known: Validators
  /// What the bytes that `path` holds from an earlier attempt belong to; nil: they are thrown away.
  package var partial: Validators?
  /// True where a checksum is known, so that an earlier attempt is continued even if the server gave no validators.
  package var isContinuedUnasked: Bool
  /// More bytes than these end the transfer.
  package var limitBytes: Int

  package init(
    url: SourceURL, path: String, known: Validators = Validators(), partial: Validators? = nil,
    isContinuedUnasked: Bool = false, limitBytes: Int
  ) {
    self.url = url
    self.path = path
    self.known = known
    self.partial = partial
    self.isContinuedUnasked = isContinuedUnasked
    self.limitBytes = limitBytes
  }
}

/// What a transfer brought.
package nonisolated enum TransferOutcome: Sendable {
  /// The file is complete.
  case stored(Stored)
  /// The server has what it had last time.
  case notModified
  case failed(TransferFailure)

  package struct Stored: Sendable {
    /// Of the whole file.
    package let bytes: Int
    /// How many of them this run brought.
    package let transferred: Int
    package let validators: Validators
  }
}

/// Why a transfer brought nothing.
package nonisolated struct TransferFailure: Error, Sendable, CustomStringConvertible {
  package enum Reason: Hashable, Sendable {
    /// An answer other than 2xx and 304.
    case status(Int)
    /// libcurl does not take the URL, or not its scheme.
    case badURL
    /// Larger than the bound on one file.
    case tooLarge(limit: Int)
    case stalled(bytesPerSecond: Int, seconds: Double)
    case redirects(Int)
    /// The bound on all transfers together, in seconds.
    case outOfTime(seconds: Double)
    /// What libcurl says of everything else: `Could not resolve host: mirror.example.com`.
    case other(String)
  }

  package let url: SourceURL
  package let reason: Reason
  /// What was received before, and can be continued.
  package let received: Int
  package let validators: Validators

  /// True where the server said that it has no such file; stores behind a service of objects say 403.
  package var isMissing: Bool {
    switch reason {
    case .status(403), .status(404), .status(410): true
    default: isMissingLocally
    }
  }

  /// True for a file: or ftp: URL without a file.
  let isMissingLocally: Bool

  /// The problem without the URL.
  package var problem: String {
    switch reason {
    case .status(let status): "HTTP response code=\(status)"
    case .badURL: "Bad url string"
    case .tooLarge(let limit): "larger than \(limit) bytes"
    case .stalled(let rate, let seconds):
      "fewer than \(rate) bytes/s during \(seconds.formatted) s, after \(received) bytes"
    case .outOfTime(let seconds): "the refresh was ended: its \(seconds.formatted) s are over"
    case .redirects(let count): "more than \(count) redirects, or a loop of them"
    case .other(let text): received > 0 ? "\(text), after \(received) bytes" : text
    }
  }

  /// In the words of Bcfg2 where it has any, since administrators search logs for them.
  package var description: String {
    switch reason {
    case .badURL: "Bad url string \(url)"
    default: "Failed to fetch url \(url). \(problem)"
    }
  }
}
