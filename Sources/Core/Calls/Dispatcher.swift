import EventLoop
public import Identity
import Logging
import OrderedCollections
import Repository
import ServerSettings
public import XMLRPC

/// The outcome of a call: a value, a fault, or no access.
public enum CallOutcome {
  case value(Value)
  case fault(Fault)
  /// An ACL denied the call: HTTP 401, as the Python server answers.
  case denied
}

extension ServerCore {
  /// Carries out one call of an authenticated client.
  ///
  /// ACLs first; then the core's own methods, which get the caller, and the methods of plugins, which do not. Changes
  /// to the repository that were finished before the call are seen by it.
  ///
  /// - Parameter caller: whom `authenticate` admitted with this very request.
  public func dispatch(_ call: MethodCall, from caller: Caller) async -> CallOutcome {
    if fileMonitor.isHeld { await waitForHeldEdits() }
    fileMonitor.processPending()
    do throws(Fault) {
      guard try await checkACLs(caller, call.method) else { return .denied }
    } catch {
      return .fault(error)
    }
    return await perform(call, from: caller)
  }

  /// As `dispatch`, where the answer is kept and nobody has to be waited for: the XML-RPC response. Else nil, and nothing
  /// has happened. The caller has asked the file monitor.
  package func dispatchNow(_ call: MethodCall, from caller: Caller) -> ByteSegments? {
    let isConfiguration = call.method == "GetConfig"
    guard isConfiguration || call.method == "GetProbes", call.params.isEmpty, !fileMonitor.isHeld, servesWhatWasRead
    else {
      return nil
    }
    let start = MonotonicTime.now()
    guard checkACLsNow(caller.address, call.method),
      let kept = isConfiguration ? configurationNow(caller.client) : probesNow(caller.client)
    else { return nil }
    let duration = MonotonicTime.now() - start
    if isConfiguration { noteGenerated(caller.client, duration) }
    statistics.add(call.method, duration)
    return answerCache.giveResponse(kept)
  }

  /// Whether every plugin allows a call by the address alone. False where one denies it, or wants to know the client: then
  /// `checkACLs` is to be asked, which says so in the log.
  private func checkACLsNow(_ address: ClientAddress, _ rmi: String) -> Bool {
    for plugin in interfaces.acls {
      guard let decision = try? plugin.checkACL(address: address, rmi: rmi), decision == .allow else { return false }
    }
    return true
  }

  private func perform(_ call: MethodCall, from caller: Caller) async -> CallOutcome {
    let start = MonotonicTime.now()
    var isKnown = true
    defer { if isKnown { statistics.add(call.method, MonotonicTime.now() - start) } }
    do {
      if let method = Self.exposedMethods[call.method] {
        try checkParameters(call, method)
        let value = try await method.call(self, caller, call.params)
        carriedOut(call)
        return .value(value)
      }
      if let value = try await callRemoteMethod(call) {
        carriedOut(call)
        return .value(value)
      }
      isKnown = false
      logger.error("Unknown method \(call.method)")
      return .fault(.unknownMethod(call.method))
    } catch let fault as Fault {
      return .fault(fault)
    } catch {
      logger.error("\(call.method): \(error)")
      return .fault(.failure(textForClients(error)))
    }
  }

  private func checkParameters(_ call: MethodCall, _ method: ExposedMethod) throws {
    guard !method.parameters.contains(call.params.count) else {
      let limit = HTTPLimits().argumentBytes
      guard method.takesDocuments || !call.params.contains(where: { $0.holdsText(longerThan: limit) }) else {
        throw Fault.critical("\(call.method)() has an argument of \(LimitExceeded("argumentBytes", limit))")
      }
      return
    }
    // Python counts the object and the address too.
    let least = method.parameters.lowerBound + 2
    let most = method.parameters.upperBound + 2
    let given = call.params.count + 2
    let bound = least == most ? "exactly \(least)" : given < least ? "at least \(least)" : "at most \(most)"
    throw ParameterError("\(call.method)() takes \(bound) arguments (\(given) given)")
  }

  private func callRemoteMethod(_ call: MethodCall) async throws -> Value? {
    guard let dot = call.method.firstIndex(of: ".") else { return nil }
    if call.method.hasPrefix("system.") { return try introspect(call) }
    let owner = String(call.method[..<dot])
    if owner == fileMonitor.name { return try await remoteMethods()[call.method]?.call(call.params) }
    guard let plugin = plugins[owner] else { return nil }
    return try await plugin.rmi[String(call.method[call.method.index(after: dot)...])]?.call(call.params)
  }

  /// The introspection methods that Python's XML-RPC server brings.
  private func introspect(_ call: MethodCall) throws -> Value? {
    switch call.method {
    case "system.listMethods":
      try call.params.require(0, of: "system_listMethods")
      let own = ["ping", "system.listMethods", "system.methodHelp", "system.methodSignature"]
      return .array((own + listedRemoteMethods()).sorted().map { .string($0) })
    case "system.methodHelp":
      try call.params.require(1, of: "system_methodHelp")
      return .string(Self.exposedMethods[try call.params[0].pythonName()]?.help ?? "")
    case "system.methodSignature":
      try call.params.require(1, of: "system_methodSignature")
      return .string("signatures not supported")
    default: return nil
    }
  }

  /// Whether the ClientACLs plugins let an address make a call: by address; where one leaves it open, by metadata. One
  /// that fails denies.
  ///
  /// - Throws: where metadata decides and the client has none.
  public func checkACLs(_ caller: Caller, _ rmi: String) async throws(Fault) -> Bool {
    let client = caller.client
    let address = caller.address
    let start = MonotonicTime.now()
    defer { statistics.add("\(name):check_acls", MonotonicTime.now() - start) }
    var decisions: [ACLDecision] = []
    do {
      for plugin in interfaces.acls { decisions.append(try plugin.checkACL(address: address, rmi: rmi)) }
    } catch {
      logger.error("Unexpected error checking ACLs for \(address.ip) for \(rmi): \(error)")
      return false
    }
    if decisions.contains(.deny) {
      refusals.write(
        .warning, of: address.ip, to: logger, "Client \(address.ip) failed IP-based ACL checks for \(rmi)")
      return false
    }
    guard decisions.contains(.undecided) else {
      logger.debug("Client \(address.ip) passed IP-based ACL checks for \(rmi)")
      return true
    }
    let metadata: ClientMetadata
    do {
      metadata = try await self.metadata(of: caller)
    } catch let fault as Fault {
      throw fault
    } catch {
      throw Fault.unexpected(type: "\(Swift.type(of: error))", message: "\(error)")
    }
    do {
      for plugin in interfaces.acls where try await !plugin.checkACL(metadata: metadata, rmi: rmi) {
        refusals.write(
          .warning, of: address.ip, to: logger, "Client \(client) failed metadata ACL checks for \(rmi)")
        return false
      }
    } catch {
      logger.error("Unexpected error checking ACLs for \(client) for \(rmi): \(error)")
      return false
    }
    logger.debug("Client \(client) passed metadata ACL checks for \(rmi)")
    return true
  }
}
