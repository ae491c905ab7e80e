// Who may come in. Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Metadata.py, AuthenticateConnection of 1.4. Unlike
// there, what clients.xml demands of a client (its own password, a certificate) holds whichever of its names it uses.

extension MetadataPlugin {
  /// How a request says whose it is.
  private enum Identification {
    case certificate, address, name
  }

  public func authenticateConnection(
    certificate: String?, user: String, password: String, address: ClientAddress
  ) async -> Bool {
    let answer = authenticateNow(certificate: certificate, user: user, password: password, address: address)
    if let answer { return answer }
    // Name service has to be asked: for the client behind an address, or whether a certificate comes from its host.
    if let certificate {
      let isValid = await isNamed(certificate, address)
      return decide(.certificate, certificate, user: user, password, address, hasValidAddress: isValid) ?? false
    }
    do {
      let client = try await resolveClient(address, cleanupCache: false)
      return decide(.address, client, user: user, password, address) ?? false
    } catch {
      logger.error("Client \(address.ip) failed to resolve: \(error)")
      return false
    }
  }

  public func authenticateNow(
    certificate: String?, user: String, password: String, address: ClientAddress
  ) -> Bool? {
    if let certificate {
      guard !certificate.isEmpty else {
        logger.error("Certificate of \(address.ip) has no common name")
        return false
      }
      debugLog("Got cN \(certificate); using as client name")
      return decide(.certificate, certificate, user: user, password, address)
    }
    if user == "root" {
      guard let client = resolveClientNow(address) else { return nil }
      return decide(.address, client, user: user, password, address)
    }
    return decide(.name, clients.client(ofUUID: user)?.name ?? user, user: user, password, address)
  }

  /// Whether a client that says who it is may come in.
  ///
  /// - Parameter hasValidAddress: what name service says of a certificate's address; nil before it was asked.
  /// - Returns: nil where it has to be asked first.
  private func decide(
    _ identification: Identification, _ client: String, user: String, _ password: String, _ address: ClientAddress,
    hasValidAddress: Bool? = nil
  ) -> Bool? {
    debugLog("Authenticating client \(client)")
    let record = record(of: client)
    let mode = record?.authentication ?? core.settings.authentication
    if mode == "cert", identification != .certificate {
      logger.error("Client \(client) does not provide a cert, but only cert auth is allowed")
      return false
    }
    switch identification {
    case .certificate:
      guard let isValid = hasValidAddress ?? isKnownAddress(client, address) else { return nil }
      guard isValid else { return false }
      if mode != "cert+password" {
        if clients.client(named: client.lowercased())?.isFloating == true { remember(client, at: address) }
        logger.debug("Client \(client) certificate validates")
        return true
      }
    case .address: guard isKnownAddress(client, address) != false else { return false }
    case .name: break
    }
    guard isAllowed(password, for: record, address) else { return false }
    if user != "root" { remember(client, at: address) }
    logger.debug("Client \(client) authenticated successfully")
    return true
  }

  /// `cert`, `bootstrap` or `cert+password`: of clients.xml, else of bcfg2.conf.
  func authentication(of client: String) -> String {
    record(of: client)?.authentication ?? core.settings.authentication
  }

  private func remember(_ client: String, at address: ClientAddress) {
    sessions.remember(client, at: address, now: core.loop.now)
  }

  /// Whether name service has the client's name for an address.
  private func isNamed(_ client: String, _ address: ClientAddress) async -> Bool {
    do {
      let resolved = try await resolveClient(address, cleanupCache: false)
      if resolved.lowercased() == client.lowercased() {
        logger.debug("Client \(client) address validates")
        return true
      }
      logger.error("Got request for \(client) from incorrect address \(address.ip)")
      logger.error("Resolved to \(resolved)")
    } catch {
      logger.error("Client \(address.ip) failed to resolve: \(error)")
    }
    return false
  }

  /// What clients.xml says of client and address; nil where it does not say. As in Bcfg2 the name of a certificate has
  /// to be in lower case for that.
  private func isKnownAddress(_ client: String, _ address: ClientAddress) -> Bool? {
    if clients.client(named: client)?.isFloating == true {
      debugLog("Client \(client) is floating")
      return true
    }
    let owners = clients.clients(at: address.ip)
    guard !owners.isEmpty else { return nil }
    if owners.contains(where: { $0.name == client }) {
      debugLog("Client \(client) matches address \(address.ip)")
      return true
    }
    logger.error("Got request for non-float client \(client) from \(address.ip)")
    return false
  }

  private func isAllowed(_ password: String, for record: ClientRecord?, _ address: ClientAddress) -> Bool {
    if let record, record.isSecure {
      guard let own = record.password else {
        logger.error("Client \(address.ip) in secure mode but has no password")
        return false
      }
      guard Self.isEqual(password, own) else {
        logger.error("Client \(address.ip) failed to use client password in secure mode")
        return false
      }
      return true
    }
    // Both are compared, whichever fits, so that the time says nothing.
    let isShared = core.settings.password.map { Self.isEqual(password, $0) } ?? false
    let isOwn = record?.password.map { Self.isEqual(password, $0) } ?? false
    let isAllowed = isShared || isOwn
    if !isAllowed { logger.error("Client \(address.ip) failed to use an allowed password") }
    return isAllowed
  }

  /// Compares in a time that depends on the given text's length only.
  static func isEqual(_ given: String, _ expected: String) -> Bool {
    var given = given
    var expected = expected
    return given.withUTF8 { given in
      expected.withUTF8 { expected in
        var difference: Int = given.count ^ expected.count
        var index = 0
        for byte in given {
          difference |= Int(byte ^ (expected.isEmpty ? 0 : expected[index]))
          index += 1
          if index >= expected.count { index = 0 }
        }
        return difference == 0
      }
    }
  }
}
