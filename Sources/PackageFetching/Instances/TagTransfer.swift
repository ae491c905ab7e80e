import CCurl
import EventLoop

/// One request to EC2, or to the metadata service: libcurl's handle, and what its callbacks fill.
final class TagTransfer {
  /// What an answer is kept in. Nonisolated because C calls it, while `TagService` drives libcurl, on the main thread.
  nonisolated final class Sink {
    fileprivate(set) var body: [UInt8] = []
    fileprivate(set) var date: String?
    fileprivate(set) var isTooLarge = false
    fileprivate let limitBytes: Int

    fileprivate init(limitBytes: Int) { self.limitBytes = limitBytes }

    fileprivate func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
      guard body.count + bytes.count <= limitBytes else {
        isTooLarge = true
        return false
      }
      body.append(contentsOf: bytes)
      return true
    }

    fileprivate func takeHeader(_ bytes: UnsafeRawBufferPointer) {
      let name = "date:"
      guard bytes.count < 128, String(decoding: bytes.prefix(name.utf8.count), as: UTF8.self).lowercased() == name
      else { return }
      date = String(decoding: bytes.dropFirst(name.utf8.count), as: UTF8.self)
    }
  }

  /// What is asked.
  struct Request {
    var url: String
    var method = "GET"
    var headers: [(name: String, value: String)] = []
    var body: [UInt8]?
    var limitBytes: Int
    var milliseconds: Int
    var authority: String?
    var userAgent: String
    /// Whether a proxy of the environment is asked: never for what is on this machine.
    var usesProxy = true
  }

  let handle: UnsafeMutableRawPointer
  let sink: Sink
  private let request: Request
  private var headers: UnsafeMutablePointer<curl_slist>?
  private let errorText: UnsafeMutablePointer<CChar>

  init(_ request: Request) {
    guard let handle = curl_easy_init() else { fatalError("libcurl has no memory for a transfer") }
    self.handle = handle
    self.request = request
    sink = Sink(limitBytes: request.limitBytes)
    errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
    errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    setUp()
  }

  isolated deinit {
    curl_easy_cleanup(handle)
    curl_slist_free_all(headers)
    errorText.deallocate()
  }

  private func setUp() {
    let context = Unmanaged.passUnretained(sink).toOpaque()
    ccurl_set_text(handle, CURLOPT_URL, request.url)
    ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText)
    // The URL's scheme is http or https, and no answer leads to another.
    ccurl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0)
    ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1)
    ccurl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, max(1, request.milliseconds))
    ccurl_set_long(handle, CURLOPT_TIMEOUT_MS, max(1, request.milliseconds))
    ccurl_set_text(handle, CURLOPT_USERAGENT, request.userAgent)
    ccurl_set_write(handle, CURLOPT_WRITEFUNCTION, takeBody)
    ccurl_set_pointer(handle, CURLOPT_WRITEDATA, context)
    ccurl_set_write(handle, CURLOPT_HEADERFUNCTION, takeHeaderLine)
    ccurl_set_pointer(handle, CURLOPT_HEADERDATA, context)
    if let authority = request.authority {
      ccurl_set_text(handle, CURLOPT_CAINFO, authority)
      ccurl_set_text(handle, CURLOPT_CAPATH, nil)
    }
    if !request.usesProxy { ccurl_set_text(handle, CURLOPT_PROXY, "") }
    if let body = request.body {
      ccurl_set_long(handle, CURLOPT_POST, 1)
      ccurl_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
      _ = body.withUnsafeBytes {
        ccurl_set_pointer(handle, CURLOPT_COPYPOSTFIELDS, UnsafeMutableRawPointer(mutating: $0.baseAddress))
      }
    } else if request.method != "GET" {
      ccurl_set_text(handle, CURLOPT_CUSTOMREQUEST, request.method)
    }
    for (name, value) in request.headers { headers = curl_slist_append(headers, "\(name): \(value)") }
    // Neither waits for a permission to send a form, nor accepts packed answers.
    headers = curl_slist_append(headers, "Expect:")
    ccurl_set_list(handle, CURLOPT_HTTPHEADER, headers)
  }

  var status: Int {
    var status = 0
    ccurl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
    return status
  }

  /// Waits for the answer: for what nothing can be done without.
  ///
  /// - Returns: its body, if it has status 200.
  func run() -> [UInt8]? {
    curl_easy_perform(handle) == CURLE_OK && status == 200 ? sink.body : nil
  }

  /// Why there is no answer.
  func reason(_ code: CURLcode) -> String {
    if sink.isTooLarge { return "an answer of more than \(request.limitBytes) bytes" }
    let text = String(cString: errorText)
    return text.isEmpty ? String(cString: curl_easy_strerror(code)) : text
  }

  /// Whether the same request may have an answer the next time.
  static func isTransient(_ code: CURLcode) -> Bool {
    [
      CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_PARTIAL_FILE, CURLE_RECV_ERROR, CURLE_SEND_ERROR,
      CURLE_GOT_NOTHING, CURLE_HTTP2, CURLE_HTTP2_STREAM,
    ].contains(code)
  }
}

private nonisolated func takeBody(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let context else { return 0 }
  let sink = Unmanaged<TagTransfer.Sink>.fromOpaque(context).takeUnretainedValue()
  return sink.take(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
}

private nonisolated func takeHeaderLine(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let context else { return 0 }
  let sink = Unmanaged<TagTransfer.Sink>.fromOpaque(context).takeUnretainedValue()
  sink.takeHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
  return size * count
}
