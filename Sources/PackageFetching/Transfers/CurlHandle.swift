import CCurl
import EventLoop

/// One transfer as libcurl has it: a handle, its headers and the sink that its callbacks fill.
final class CurlHandle {
  let request: TransferRequest
  let sink: TransferSink
  let handle: UnsafeMutableRawPointer
  private var headers: UnsafeMutablePointer<curl_slist>?
  private let errorText: UnsafeMutablePointer<CChar>
  private let options: FetchOptions

  /// - Parameter isContinued: false to begin anew although there is a partial file.
  init(_ request: TransferRequest, isContinued: Bool, options: FetchOptions) throws(SystemError) {
    guard let handle = curl_easy_init() else { fatalError("libcurl has no memory for a transfer") }
    self.request = request
    self.handle = handle
    self.options = options
    errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
    errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    let start = isContinued ? Self.resumableBytes(request) : 0
    do throws(SystemError) {
      sink = try TransferSink(path: request.path, resumedFrom: start, limitBytes: request.limitBytes)
    } catch {
      curl_easy_cleanup(handle)
      errorText.deallocate()
      throw error
    }
    setUp(resumedFrom: start)
  }

  isolated deinit {
    curl_easy_cleanup(handle)
    curl_slist_free_all(headers)
    errorText.deallocate()
  }

  /// How many bytes of an earlier attempt may be continued. Only HTTP can say whether they are still those of the file.
  private static func resumableBytes(_ request: TransferRequest) -> Int {
    guard request.url.scheme.hasPrefix("http"), let partial = request.partial,
      partial.ofRange != nil || request.isContinuedUnasked,
      let size = Files.size(request.path), size < request.limitBytes
    else { return 0 }
    return size
  }

  private func setUp(resumedFrom start: Int) {
    let context = Unmanaged.passUnretained(sink).toOpaque()
    ccurl_set_text(handle, CURLOPT_URL, String(decoding: request.url.bytes, as: UTF8.self))
    ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText)
    ccurl_restrict_protocols(handle)
    ccurl_set_long(handle, CURLOPT_FOLLOWLOCATION, 1)
    ccurl_set_long(handle, CURLOPT_MAXREDIRS, options.redirects)
    ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1)
    ccurl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, max(1, options.connectTimeout.milliseconds))
    ccurl_set_text(handle, CURLOPT_USERAGENT, options.userAgent)
    ccurl_set_write(handle, CURLOPT_WRITEFUNCTION, takeContent)
    ccurl_set_pointer(handle, CURLOPT_WRITEDATA, context)
    ccurl_set_write(handle, CURLOPT_HEADERFUNCTION, takeHeader)
    ccurl_set_pointer(handle, CURLOPT_HEADERDATA, context)
    if let user = request.url.user {
      ccurl_set_text(handle, CURLOPT_USERNAME, String(decoding: user, as: UTF8.self))
    }
    if let password = request.url.password {
      ccurl_set_text(handle, CURLOPT_PASSWORD, String(decoding: password, as: UTF8.self))
    }
    if start > 0 {
      ccurl_set_text(handle, CURLOPT_RANGE, "\(start)-")
      if let validator = request.partial?.ofRange { add("If-Range: \(validator)") }
    } else {
      if let etag = request.known.etag { add("If-None-Match: \(etag)") }
      if let date = request.known.lastModified { add("If-Modified-Since: \(date)") }
    }
    // A proxy's old copy of a Release beside a new Packages is what makes most checks fail.
    add("Cache-Control: max-age=0")
    ccurl_set_list(handle, CURLOPT_HTTPHEADER, headers)
  }

  private func add(_ header: String) { headers = curl_slist_append(headers, header) }

  // MARK: The end

  /// What the transfer has come to.
  func outcome(_ code: CURLcode) -> TransferOutcome {
    if code == CURLE_OK, sink.finish() {
      switch sink.status {
      case 304: return .notModified
      case 0, 200..<300:
        return .stored(.init(bytes: sink.size, transferred: sink.transferred, validators: sink.validators))
      default: return .failed(failure(.status(sink.status)))
      }
    }
    return .failed(failure(reason(code)))
  }

  func failure(_ reason: TransferFailure.Reason, isMissing: Bool = false) -> TransferFailure {
    TransferFailure(
      url: request.url, reason: reason, received: sink.status < 300 ? sink.size : 0, validators: sink.validators,
      isMissingLocally: isMissing)
  }

  /// True where the connection broke: to take the transfer up again may help.
  func isBroken(_ code: CURLcode) -> Bool {
    guard sink.refusal == nil else { return false }
    return [
      CURLE_PARTIAL_FILE, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_GOT_NOTHING, CURLE_HTTP2, CURLE_HTTP2_STREAM,
    ].contains(code)
  }

  /// True where the server does not have the range that was asked for.
  var isOutOfRange: Bool {
    if case .wrongRange = sink.refusal { return true }
    return sink.status == 416
  }

  /// True where there is no such file, for schemes without a status.
  static func isMissingFile(_ code: CURLcode) -> Bool {
    [CURLE_FILE_COULDNT_READ_FILE, CURLE_REMOTE_FILE_NOT_FOUND, CURLE_FTP_COULDNT_RETR_FILE].contains(code)
  }

  private func reason(_ code: CURLcode) -> TransferFailure.Reason {
    switch sink.refusal {
    case .tooLarge: return .tooLarge(limit: request.limitBytes)
    case .system(let error): return .other(error.description)
    case .errorPage: return .status(sink.status)
    case .wrongRange: return .other("the server continued at another place than was asked for")
    case nil: break
    }
    switch code {
    case CURLE_URL_MALFORMAT: return .badURL
    case CURLE_UNSUPPORTED_PROTOCOL where sink.status == 0: return .badURL
    case CURLE_TOO_MANY_REDIRECTS: return .redirects(options.redirects)
    default:
      let text = String(cString: errorText)
      return .other(text.isEmpty ? String(cString: curl_easy_strerror(code)) : text)
    }
  }
}
