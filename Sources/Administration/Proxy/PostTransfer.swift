import CCurl
import ServerSettings

/// One POST by libcurl. Blocks until it is done, or as long as the time limit of the settings.
///
/// The certificate of the server is checked against the authority, and its name against `commonNames`, before anything is
/// sent: the request has the password. Without an authority nothing is checked, as in Bcfg2's clients. Proxies of the
/// environment are not used.
final class PostTransfer {
  struct Answer {
    var status = 0
    /// The words behind the status, as the server says them.
    var reason = ""
    var body: [UInt8] = []
  }

  private let settings: ProxySettings
  private let body: [UInt8]
  private let limitBytes: Int
  private nonisolated(unsafe) let handle: UnsafeMutableRawPointer
  private let errorText: UnsafeMutablePointer<CChar>
  private var headers: UnsafeMutablePointer<curl_slist>?
  // Changed by the callbacks, which run inside `run`.
  fileprivate nonisolated(unsafe) var answer = Answer()
  fileprivate nonisolated(unsafe) var isTooLarge = false
  fileprivate nonisolated(unsafe) var wrongName: String?

  init(_ settings: ProxySettings, body: [UInt8], limitBytes: Int) {
    guard let handle = curl_easy_init() else { fatalError("libcurl has no memory for a transfer") }
    self.settings = settings
    self.body = body
    self.limitBytes = limitBytes
    self.handle = handle
    errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
    errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
  }

  isolated deinit {
    curl_easy_cleanup(handle)
    curl_slist_free_all(headers)
    errorText.deallocate()
  }

  func run() throws(ProxyError) -> Answer {
    setUp()
    guard settings.commonNames.isEmpty || ccurl_has_prerequest() else {
      throw .transfer(settings.address, "this libcurl is too old for serverCommonNames: 7.80 or later checks them")
    }
    // libcurl does not copy the body: it must be there for the whole transfer.
    let code = body.withUnsafeBytes { bytes in
      ccurl_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count))
      ccurl_set_pointer(handle, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: bytes.baseAddress))
      return curl_easy_perform(handle)
    }
    guard code == CURLE_OK else { throw .transfer(settings.address, reason(code)) }
    var status = 0
    ccurl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
    answer.status = status
    return answer
  }

  private func setUp() {
    let context = Unmanaged.passUnretained(self).toOpaque()
    ccurl_set_text(handle, CURLOPT_URL, settings.location.description + "/RPC2")
    ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText)
    ccurl_restrict_protocols(handle)
    ccurl_set_text(handle, CURLOPT_PROXY, "")
    ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1)
    ccurl_set_long(handle, CURLOPT_TIMEOUT_MS, max(1, Int(settings.timeout / .milliseconds(1))))
    ccurl_set_long(handle, CURLOPT_POST, 1)
    headers = curl_slist_append(curl_slist_append(nil, "Content-Type: text/xml"), "Expect:")
    ccurl_set_list(handle, CURLOPT_HTTPHEADER, headers)
    if let password = settings.password {
      ccurl_set_text(handle, CURLOPT_USERNAME, settings.user)
      ccurl_set_text(handle, CURLOPT_PASSWORD, password)
    }
    if let key = settings.key, let certificate = settings.certificate {
      ccurl_set_text(handle, CURLOPT_SSLKEY, key)
      ccurl_set_text(handle, CURLOPT_SSLCERT, certificate)
    }
    // Names are those of `serverCommonNames`: bcfg2.conf may call the server by an address or another name.
    ccurl_set_long(handle, CURLOPT_SSL_VERIFYHOST, 0)
    ccurl_set_long(handle, CURLOPT_SSL_VERIFYPEER, settings.authority == nil ? 0 : 1)
    if let authority = settings.authority {
      ccurl_set_text(handle, CURLOPT_CAINFO, authority)
      ccurl_set_text(handle, CURLOPT_CAPATH, nil)
    }
    if !settings.commonNames.isEmpty {
      ccurl_set_long(handle, CURLOPT_CERTINFO, 1)
      ccurl_set_prerequest(handle, checkName, context)
    }
    ccurl_set_write(handle, CURLOPT_WRITEFUNCTION, takeBody)
    ccurl_set_pointer(handle, CURLOPT_WRITEDATA, context)
    ccurl_set_write(handle, CURLOPT_HEADERFUNCTION, takeHeaderLine)
    ccurl_set_pointer(handle, CURLOPT_HEADERDATA, context)
  }

  private func reason(_ code: CURLcode) -> String {
    if let wrongName { return "Got unallowed commonName \(wrongName) from server" }
    if isTooLarge { return "the answer has more than \(limitBytes) bytes" }
    let text = String(cString: errorText)
    return text.isEmpty ? String(cString: curl_easy_strerror(code)) : text
  }

  // MARK: Callbacks

  /// The common name of the server's certificate, once the handshake is done.
  fileprivate nonisolated func commonName() -> String? {
    var fields = ccurl_certificate_fields(handle, 0)
    while let field = fields {
      // The certificate itself. The text of its subject does not tell names from what is written inside of one.
      let text = String(cString: field.pointee.data)
      if text.hasPrefix("Cert:") { return CertificateName.common(ofPEM: Array(text.dropFirst("Cert:".count).utf8)) }
      fields = field.pointee.next
    }
    return nil
  }

  fileprivate nonisolated func mayGoOn() -> Bool {
    let name = commonName() ?? ""
    if settings.commonNames.contains(name) { return true }
    wrongName = name
    return false
  }

  fileprivate nonisolated func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard answer.body.count + bytes.count <= limitBytes else {
      isTooLarge = true
      return false
    }
    answer.body += bytes
    return true
  }

  fileprivate nonisolated func takeLine(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.starts(with: "HTTP/".utf8) else { return }
    let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    answer.reason = words.dropFirst(2).joined(separator: " ")
  }
}

private nonisolated func transfer(_ context: UnsafeMutableRawPointer?) -> PostTransfer? {
  context.map { Unmanaged<PostTransfer>.fromOpaque($0).takeUnretainedValue() }
}

private nonisolated func takeBody(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  let isTaken = transfer(context)?.take(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? false
  return isTaken ? size * count : 0
}

private nonisolated func takeHeaderLine(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  transfer(context)?.takeLine(UnsafeRawBufferPointer(start: bytes, count: size * count))
  return size * count
}

private nonisolated func checkName(
  _ context: UnsafeMutableRawPointer?, _ remote: UnsafeMutablePointer<CChar>?, _ local: UnsafeMutablePointer<CChar>?,
  _ remotePort: Int32, _ localPort: Int32
) -> Int32 {
  transfer(context)?.mayGoOn() ?? false ? 0 : 1
}
