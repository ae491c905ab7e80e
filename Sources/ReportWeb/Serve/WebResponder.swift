#if Web
  import Databases
  import HTTPTypes
  import Hummingbird
  import Logging
  import NIOCore
  import ReportStore

  /// What a request brings besides itself.
  struct WebContext: InitializableFromSource {
    let address: String?

    init(source: ApplicationRequestContextSource) { address = source.channel.remoteAddress?.ipAddress }
  }

  /// Answers requests.
  struct WebResponder: HTTPResponder {
    let settings: WebSettings
    let pool: DatabasePool
    let authenticator: Authenticator
    let tokens: FormTokens
    let logger: Logger
    private let links: Links
    private let days = DayCounts()

    /// The cookie that forms are bound to.
    private static let cookie = "bcfg2_web"

    init(_ settings: WebSettings, pool: DatabasePool, authenticator: Authenticator, tokens: FormTokens, logger: Logger)
    {
      self.settings = settings
      self.pool = pool
      self.authenticator = authenticator
      self.tokens = tokens
      self.logger = logger
      links = Links(prefix: settings.prefix)
    }

    func respond(to request: Request, context: WebContext) async throws -> Response {
      let begin = ContinuousClock.now
      let target = request.head.path ?? ""
      var user: String?
      var response: Response
      do {
        response = try await answer(request, target, context, &user)
      } catch {
        response = failure(error)
      }
      secure(&response)
      logger.debug(
        "\(request.method.rawValue) \(target) \(response.status.code) \(ContinuousClock.now - begin) \(user ?? "-") \(context.address ?? "-")"
      )
      return request.method == .head ? response.createHeadResponse() : response
    }

    // MARK: Requests

    private func answer(_ request: Request, _ target: String, _ context: WebContext, _ user: inout String?) async throws
      -> Response
    {
      guard target.hasPrefix("/"), target.utf8.count <= WebLimit.pathBytes else {
        return plain(.badRequest, "The request's target is no path, or too long.")
      }
      guard isKnownHost(request) else {
        return plain(
          .misdirectedRequest, "This server has another name: [reporting] web_hosts names those that it accepts.")
      }
      let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
      var path = String(parts[0])
      if !settings.prefix.isEmpty, path == settings.prefix || path.hasPrefix(settings.prefix + "/") {
        path.removeFirst(settings.prefix.count)
      }
      guard let route = Route(path: path), let query = URLCoding.fields(parts.count > 1 ? parts[1] : "") else {
        return errorPage(.notFound, "There is no such page.")
      }
      if route.target == .stylesheet { return stylesheet() }
      switch try await authenticator.caller(request.headers, address: context.address) {
      case .anonymous: break
      case .user(let name): user = name
      case .unknown:
        var response = errorPage(.unauthorized, "A name and a password are needed.")
        response.headers[.wwwAuthenticate] = "Basic realm=\"Bcfg2 reports\", charset=\"UTF-8\""
        return response
      case .refused(let reason): return errorPage(.forbidden, reason)
      case .busy: throw DatabasePool.Busy()
      }
      let caller = WebCaller(
        user: user, mayChange: user != nil || (settings.authentication == .none && settings.isLoopback))
      switch request.method {
      case .get, .head: return try await show(route, query, request, caller)
      case .post: return try await post(route, request, caller)
      default:
        var response = plain(.methodNotAllowed, "Pages are read with GET.")
        response.headers[.allow] = "GET, HEAD, POST"
        return response
      }
    }

    private struct WebCaller: Sendable {
      var user: String?
      var mayChange: Bool
    }

    /// Whether the browser meant this server: a page of a stranger whose name leads here cannot read it (DNS rebinding).
    private func isKnownHost(_ request: Request) -> Bool {
      guard settings.isLoopback || !settings.hosts.isEmpty else { return true }
      guard var host = request.head.authority?[...] ?? request.headers[.init("Host")!]?[...] else { return false }
      if host.hasPrefix("[") {
        host = host.prefix { $0 != "]" }.dropFirst()
      } else if let colon = host.lastIndex(of: ":") {
        host = host[..<colon]
      }
      let name = host.lowercased()
      let isLocal =
        settings.isLoopback && (["localhost", "127.0.0.1", "::1"].contains(name) || name == settings.address)
      return isLocal || settings.hosts.contains { $0.lowercased() == name }
    }

    private func show(
      _ route: Route, _ query: [String: String], _ request: Request, _ caller: WebCaller
    ) async throws -> Response {
      var browser: String?
      var isNew = false
      if route.target == .manage, caller.mayChange {
        browser = self.browser(request)
        isNew = browser == nil
        browser = browser ?? FormTokens.identifier()
      }
      let token = browser.map { tokens.token(browser: $0, user: caller.user ?? "") }
      let wanted = PageRequest(route: route, query: query, days: days, formToken: token)
      let links = links
      let made = try await pool.read { database in
        let maker = PageMaker(store: ReportStore(database), present: .now(), links: links, request: wanted)
        do {
          return Made.text(try Self.write(maker.page(), wanted, links: links, user: caller.user))
        } catch PageError.notFound(let reason) {
          return .missing(reason)
        } catch PageError.elsewhere(let address) {
          return .elsewhere(address)
        }
      }
      switch made {
      case .missing(let reason): return errorPage(.notFound, reason)
      case .elsewhere(let address): return redirect(address)
      case .text(nil): return errorPage(.notFound, "The page has no such table.")
      case .text(let text?):
        var response = Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: text)))
        switch route.format {
        case .html: response.headers[.contentType] = "text/html; charset=utf-8"
        case .json: response.headers[.contentType] = "application/json"
        case .csv:
          response.headers[.contentType] = "text/csv; charset=utf-8"
          response.headers[.contentDisposition] = "attachment"
        }
        if let browser, isNew {
          let path = settings.prefix.isEmpty ? "/" : settings.prefix
          response.headers[.setCookie] = "\(Self.cookie)=\(browser); Path=\(path); HttpOnly; SameSite=Strict"
        }
        return response
      }
    }

    private enum Made: Sendable {
      case text(String?)
      case missing(String)
      case elsewhere(String)
    }

    private static func write(_ page: Page, _ request: PageRequest, links: Links, user: String?) -> String? {
      switch request.route.format {
      case .html: PageHTML.write(page, links: links, user: user)
      case .json: PageJSON.write(page)
      case .csv: PageCSV.write(page, table: request.query["table"])
      }
    }

    /// The browser's name in its cookie.
    private func browser(_ request: Request) -> String? {
      for header in request.headers[values: .cookie] {
        for pair in header.split(separator: ";") {
          let halves = pair.split(separator: "=", maxSplits: 1)
          guard halves.count == 2, halves[0].trimmingBlanks == Self.cookie else { continue }
          let value = halves[1].trimmingBlanks
          if value.utf8.count == 32 { return value }
        }
      }
      return nil
    }

    // MARK: Forms

    private func post(_ route: Route, _ request: Request, _ caller: WebCaller) async throws -> Response {
      guard request.headers[.contentType]?.lowercased().hasPrefix("application/x-www-form-urlencoded") == true else {
        return errorPage(.unsupportedMediaType, "A form is expected.")
      }
      let body: ByteBuffer
      do {
        body = try await request.body.collect(upTo: WebLimit.bodyBytes)
      } catch is NIOTooManyBytesError {
        return errorPage(.contentTooLarge, "The form is too large.")
      }
      guard let fields = URLCoding.fields(String(buffer: body)) else {
        return errorPage(.badRequest, "The form is damaged.")
      }
      if fields["op"] == "timeview" { return timeView(route, fields["cal_date"] ?? "") }
      switch route.target {
      case .common:
        guard let threshold = fields["threshold"].flatMap(Route.id) else { break }
        let group = route.filter.group.map { "/group/\(URLCoding.encode($0))" } ?? ""
        return redirect(links.to("/common\(group)/\(threshold)\(route.time?.path ?? "")"))
      case .manage: return try await manage(fields, request, caller)
      default: break
      }
      return errorPage(.badRequest, "This page has no such form.")
    }

    /// Leads to the same page at another time.
    private func timeView(_ route: Route, _ text: String) -> Response {
      let text = text.replacing("/", with: "-").replacing("T", with: " ")
      let hasClock = text.utf8.count > 10
      guard let time = ReportTime(hasClock ? text : text + " 00:00"), text.utf8.count >= 10 else {
        return errorPage(.badRequest, "A time looks like 2026/11/29 or 2026/11/29 14:30.")
      }
      let filters = route.filter.path
      let base: String
      switch route.target {
      case .grid: base = "/grid" + filters
      case .detailed: base = "/detailed" + filters
      case .elements(let state): base = "/elements/\(URLCoding.encode(state))" + filters
      case .entry(let type, let id): base = "/entry/\(URLCoding.encode(type))/\(id)" + filters
      case .common(let threshold):
        base =
          "/common" + (route.filter.group.map { "/group/\(URLCoding.encode($0))" } ?? "")
          + (threshold.map { "/\($0)" } ?? "")
      case .summary: base = "/summary"
      case .timing: base = "/timing"
      default: return errorPage(.badRequest, "This page shows no other time.")
      }
      return redirect(links.to(base + time.path))
    }

    private func manage(_ fields: [String: String], _ request: Request, _ caller: WebCaller) async throws -> Response {
      guard caller.mayChange else {
        return errorPage(.forbidden, "Clients can be expired by authenticated users only.")
      }
      // Browsers say whether the form was of this site.
      let site = HTTPField.Name("Sec-Fetch-Site").flatMap { request.headers[$0] }
      guard site == nil || site == "same-origin", let browser = browser(request),
        tokens.isValid(fields["token"] ?? "", browser: browser, user: caller.user ?? "")
      else { return errorPage(.forbidden, "The form is not of this site, or too old. Load the page again.") }
      guard let name = fields["client_name"], let action = fields["client_action"],
        ["expire", "unexpire"].contains(action)
      else {
        return errorPage(.badRequest, "The form names no client or no action.")
      }
      let expiration = action == "expire" ? ReportTime.now() : nil
      let isKnown = try await pool.write { try ReportStore($0).setExpiration(expiration, ofClients: name) }
      guard isKnown else { return errorPage(.notFound, "No client \(name) has reported.") }
      logger.info("\(caller.user ?? "someone on this machine") \(action == "expire" ? "expired" : "activated") \(name)")
      return redirect(links.to("/manage") + "?changed=\(URLCoding.encode(name))")
    }

    // MARK: Responses

    private func stylesheet() -> Response {
      var response = Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: Stylesheet.text)))
      response.headers[.contentType] = "text/css; charset=utf-8"
      response.headers[.cacheControl] = "max-age=300"
      return response
    }

    private func redirect(_ address: String) -> Response {
      var response = Response(status: .seeOther)
      response.headers[.location] = address
      return response
    }

    private func plain(_ status: HTTPResponse.Status, _ text: String) -> Response {
      var response = Response(status: status, body: .init(byteBuffer: ByteBuffer(string: text + "\n")))
      response.headers[.contentType] = "text/plain; charset=utf-8"
      return response
    }

    private func errorPage(_ status: HTTPResponse.Status, _ text: String) -> Response {
      var page = Page("\(status.code) \(status.reasonPhrase)")
      page.path = "/index"
      page.blocks = [.notice(.bad, text)]
      var response = Response(
        status: status, body: .init(byteBuffer: ByteBuffer(string: PageHTML.write(page, links: links))))
      response.headers[.contentType] = "text/html; charset=utf-8"
      return response
    }

    private func failure(_ error: any Error) -> Response {
      switch error {
      case let error as DatabaseError:
        logger.error("\(error)")
        if let text = error.whyNotWritten { return errorPage(.forbidden, text) }
        let text: String
        switch error.kind {
        case .unavailable: text = "The database of reports cannot be reached. The server's log says why."
        case .busy: text = "The database of reports is busy."
        case .full: text = "The database of reports has no room left."
        case .missing: text = "The database of reports has no tables yet: bcfg2-admin initreports makes them."
        case .denied, .constraint, .value, .other:
          return errorPage(.internalServerError, "The server's log says what failed.")
        }
        return retry(text)
      case is DatabasePool.Busy: return retry("Too many requests wait for the database.")
      case let error as PasswordFile.Failure:
        logger.error("\(error)")
        return errorPage(.internalServerError, "Passwords cannot be checked. The server's log says why.")
      default:
        logger.error("a request failed: \(error)")
        return errorPage(.internalServerError, "The server's log says what failed.")
      }
    }

    private func retry(_ text: String) -> Response {
      var response = errorPage(.serviceUnavailable, text)
      response.headers[.retryAfter] = "10"
      return response
    }

    /// Headers of every answer: nothing but our stylesheet and forms, no frames, no guesses about types.
    private func secure(_ response: inout Response) {
      response.headers[.contentSecurityPolicy] =
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
      response.headers[.xContentTypeOptions] = "nosniff"
      response.headers[HTTPField.Name("Referrer-Policy")!] = "same-origin"
      response.headers[HTTPField.Name("Cross-Origin-Resource-Policy")!] = "same-origin"
      if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "private, no-cache" }
    }
  }

  extension DatabaseError {
    /// What a page says where bcfg2-web may read the database only; nil for other errors.
    var whyNotWritten: String? {
      guard kind == .denied || isReadOnly else { return nil }
      return
        "bcfg2-web may not do this in the database of reports: its user, or the file, can be read only. The server's log says more."
    }
  }

  extension Substring {
    fileprivate var trimmingBlanks: String {
      var text = self
      while text.first == " " { text.removeFirst() }
      while text.last == " " { text.removeLast() }
      return String(text)
    }
  }
#endif
