// Authenticates clients. Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Metadata.py, AuthenticateConnection of 1.4. Unlike
// there, what clients.xml demands of a client (its own password, a certificate) holds for each of its names, and a
// certificate needs no Authorization header beside it.

import Core
public import EventLoop
public import Identity
import Logging
import ServerSettings
import XMLRPC

extension MetadataPlugin {
  /// How a request identifies its client.
  private enum Identification {
    case certificate, address, name
  }

  public func authenticateConnection(
    certificate: String?, user: String?, password: String?, address: ClientAddress
  ) -> Answer<AuthenticationDecision> {
    if let certificate {
      guard !certificate.isEmpty else {
        refused(address, "Certificate of \(address.ip) has no common name")
        return .now(.refused)
      }
      guard let client = name(certificate, of: "certificate", address) else { return .now(.refused) }
      debugLog("Got cN \(client); using as client name")
      if let decision = decide(.certificate, client, user: user, password, address) { return .now(decision) }
      // Name service knows whether the certificate comes from its host.
      return .later { [self] in
        let isValid = await isNamed(client, address)
        return decide(.certificate, client, user: user, password, address, hasValidAddress: isValid) ?? .refused
      }
    }
    guard let user, let password else {
      refused(address, "Client \(address.ip) gives neither a certificate nor a user")
      return .now(.refused)
    }
    if Self.isRoot(user) {
      if let client = clients.onlyClient(at: address.ip)?.name {
        return .now(decide(.address, client, user: user, password, address) ?? .refused)
      }
      // Name service knows the client behind the address.
      return .later { [self] in
        do {
          let client = try await resolveClient(address)
          return decide(.address, client, user: user, password, address) ?? .refused
        } catch {
          refused(address, "Client \(address.ip) failed to resolve: \(error)")
          return .refused
        }
      }
    }
    if let client = clients.client(ofUUID: user)?.name {
      return .now(decide(.name, client, user: user, password, address) ?? .refused)
    }
    guard let client = name(user, of: "user", address) else { return .now(.refused) }
    return .now(decide(.name, client, user: user, password, address) ?? .refused)
  }

  /// The client's name that a peer sends. Logs why it is no name, and returns nil.
  private func name(_ text: String, of source: String, _ address: ClientAddress) -> ClientName? {
    do throws(ClientNameError) {
      return try givenName(text)
    } catch {
      core.refusals.write(
        .error, of: address.ip, to: core.logger,
        "Client \(address.ip) gives a name by its \(source) that is no client's name: \(error): \(text)")
      return nil
    }
  }

  static func isThisMachine(_ ip: String) -> Bool { ip.utf8.starts(with: "127.".utf8) || ip == "::1" }

  /// Whether a client that identifies itself is authenticated.
  ///
  /// - Parameter hasValidAddress: what name service says of a certificate's address; nil before it was asked.
  /// - Returns: nil if name service has to be asked first, for a certificate only.
  private func decide(
    _ identification: Identification, _ client: ClientName, user: String?, _ password: String?,
    _ address: ClientAddress,
    hasValidAddress: Bool? = nil
  ) -> AuthenticationDecision? {
    debugLog("Authenticating client \(client)")
    if HostNames.isThisMachine(client.text), !Self.isThisMachine(address.ip) {
      // ACLs trust some of these names, and every host calls itself so.
      refused(address, "Client \(address.ip) claims to be \(client), which only this machine may")
      return .refused
    }
    let record = record(of: client)
    let mode = record?.authentication ?? core.requestSettings.authentication
    if mode == "cert", identification != .certificate {
      refused(address, "Client \(client) does not provide a cert, but only cert auth is allowed")
      return .refused
    }
    let name = record?.name ?? client
    switch identification {
    case .certificate:
      guard let isValid = hasValidAddress ?? isKnownAddress(client, address) else { return nil }
      guard isValid else { return .refused }
      if mode != "cert+password" || !core.requestSettings.acceptsPasswords {
        logger.debug("Client \(client) certificate validates")
        return .admitted(Caller(name, at: address))
      }
    case .address: guard isKnownAddress(client, address) != false else { return .refused }
    case .name: break
    }
    guard let user, let password else {
      refused(address, "Client \(client) provides a cert and no password, but cert+password is demanded")
      return .refused
    }
    guard isAllowed(password, for: record, address) else { return .refused }
    logger.debug("Client \(client) authenticated successfully")
    return .admitted(Caller(name, at: address, gaveName: !Self.isRoot(user)))
  }

  /// True if the user name is the one of clients that do not identify themselves.
  private static func isRoot(_ user: String) -> Bool { Name.areSame(user, "root") }

  /// `cert`, `bootstrap` or `cert+password`: of clients.xml, else of bcfg2.conf.
  func authentication(of client: ClientName) -> String {
    record(of: client)?.authentication ?? core.requestSettings.authentication
  }

  /// Logs why a peer is refused, as often as `RefusalLog` allows.
  private func refused(_ address: ClientAddress, _ message: @autoclosure () -> Logger.Message) {
    core.refusals.write(.error, of: address.ip, to: logger, message())
  }

  /// Whether name service has the client's name for an address.
  private func isNamed(_ client: ClientName, _ address: ClientAddress) async -> Bool {
    do {
      let resolved = try await resolveClient(address)
      if resolved.lowercased == client.lowercased {
        logger.debug("Client \(client) address validates")
        return true
      }
      refused(address, "Got request for \(client) from incorrect address \(address.ip)")
      refused(address, "Resolved to \(resolved)")
    } catch {
      refused(address, "Client \(address.ip) failed to resolve: \(error)")
    }
    return false
  }

  /// What clients.xml says of client and address; nil where it does not say. As in Bcfg2 the name of a certificate has
  /// to be in lower case for that.
  private func isKnownAddress(_ client: ClientName, _ address: ClientAddress) -> Bool? {
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
    refused(address, "Got request for non-float client \(client) from \(address.ip)")
    return false
  }

  private func isAllowed(_ password: String, for record: ClientRecord?, _ address: ClientAddress) -> Bool {
    if let record, record.isSecure {
      guard let own = record.password else {
        refused(address, "Client \(address.ip) in secure mode but has no password")
        return false
      }
      guard Self.isEqual(password, own) else {
        refused(address, "Client \(address.ip) failed to use client password in secure mode")
        return false
      }
      return true
    }
    // Both are compared in any case, so that the time reveals nothing.
    let isShared = core.requestSettings.password.map { Self.isEqual(password, $0) } ?? false
    let isOwn = record?.password.map { Self.isEqual(password, $0) } ?? false
    let isAllowed = isShared || isOwn
    if !isAllowed {
      let isMissing = core.requestSettings.password == nil && record?.password == nil
      let hint = isMissing ? ": neither [communication] password nor clients.xml has one" : ""
      refused(address, "Client \(address.ip) failed to use an allowed password\(hint)")
    }
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
