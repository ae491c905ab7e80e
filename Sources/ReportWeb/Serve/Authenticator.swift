#if Web
  import HTTPTypes
  import NIOPosix
  import Synchronization

  /// Who asks.
  enum Caller {
    /// Everyone is let in, so there is no name.
    case anonymous
    case user(String)
    /// 401: a name and password are needed.
    case unknown
    /// 403, and why.
    case refused(String)
    /// 503: too many passwords are being checked.
    case busy
  }

  /// Finds out who asks, as `[reporting] web_auth` says.
  final class Authenticator: Sendable {
    private let settings: WebSettings.Authentication
    private let threads = NIOThreadPool(numberOfThreads: WebLimit.passwordThreads)
    private let tokens: FormTokens

    private struct State {
      /// Digests of headers that were right, and until when they need not be checked again.
      var known: [[UInt8]: (user: String, until: ContinuousClock.Instant)] = [:]
      var waiting = 0
    }

    private let state = Mutex(State())
    /// Passwords are slow to check by design, and browsers send them with each request.
    private static let keptFor = Duration.seconds(60)
    private static let keptCount = 1000
    /// What comes before the answer to a wrong password.
    private let pause: @Sendable () async throws -> Void

    init(
      _ settings: WebSettings.Authentication, tokens: FormTokens,
      pause: @escaping @Sendable () async throws -> Void = { try await Task.sleep(for: .seconds(2)) }
    ) {
      self.settings = settings
      self.tokens = tokens
      self.pause = pause
      threads.start()
    }

    func shutDown() async throws { try await threads.shutdownGracefully() }

    func caller(_ headers: HTTPFields, address: String?) async throws -> Caller {
      switch settings {
      case .none: return .anonymous
      case .header(let name, let proxies):
        guard let address, proxies.contains(address) else {
          return .refused("Requests come through the proxy only.")
        }
        guard let field = HTTPField.Name(name), headers[values: field].count == 1, let user = headers[field],
          !user.isEmpty,
          user.utf8.count <= 256
        else { return .refused("The proxy named no user.") }
        return .user(user)
      case .basic(let file):
        guard let header = headers[.authorization], header.utf8.count <= 1024,
          let (user, password) = Basic.decode(header)
        else {
          return .unknown
        }
        let digest = tokens.digest(Array(header.utf8))
        let now = ContinuousClock.now
        if let known = state.withLock({ $0.known[digest] }), known.until > now { return .user(known.user) }
        let caller = try await check(user, password, file: file, digest: digest)
        // Others' passwords are checked meanwhile.
        if case .unknown = caller { try await pause() }
        return caller
      }
    }

    private func check(_ user: String, _ password: String, file: String, digest: [UInt8]) async throws -> Caller {
      let isAdmitted = state.withLock { state in
        guard state.waiting < WebLimit.passwordRequests else { return false }
        state.waiting += 1
        return true
      }
      guard isAdmitted else { return .busy }
      defer { state.withLock { $0.waiting -= 1 } }
      let isRight = try await threads.runIfActive {
        // Read anew, so that a removed user is out within a minute.
        try PasswordFile(path: file).matches(user: user, password: password)
      }
      guard isRight else { return .unknown }
      state.withLock { state in
        if state.known.count >= Self.keptCount { state.known = [:] }
        state.known[digest] = (user, ContinuousClock.now + Self.keptFor)
      }
      return .user(user)
    }
  }

  /// RFC 7617.
  enum Basic {
    /// The name and password of a header `Authorization: Basic ...`.
    static func decode(_ header: String) -> (user: String, password: String)? {
      let parts = header.split(separator: " ", omittingEmptySubsequences: true)
      guard parts.count == 2, parts[0].lowercased() == "basic", let bytes = base64(parts[1]), !bytes.contains(0),
        let text = String(validating: bytes, as: UTF8.self), let colon = text.firstIndex(of: ":"),
        colon != text.startIndex
      else { return nil }
      return (String(text[..<colon]), String(text[text.index(after: colon)...]))
    }

    private static func base64(_ text: Substring) -> [UInt8]? {
      var result: [UInt8] = []
      var bits: UInt32 = 0
      var count = 0
      let padding = text.utf8.reversed().prefix { $0 == UInt8(ascii: "=") }.count
      guard padding <= 2, text.utf8.count % 4 == 0 else { return nil }
      for byte in text.utf8.dropLast(padding) {
        let value: UInt8
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): value = 62
        case UInt8(ascii: "/"): value = 63
        default: return nil
        }
        bits = bits << 6 | UInt32(value)
        count += 6
        if count >= 8 {
          count -= 8
          result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
      }
      return result
    }
  }
#endif
