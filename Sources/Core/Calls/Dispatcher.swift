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
  /// Executes one call of an authenticated client.
  ///
  /// Checks ACLs, then calls the core's own methods, which get the caller, or methods of plugins, which do not. The
  /// call sees every change to the repository that was finished before it.
  ///
  /// - Parameter caller: the caller that `authenticate` admitted with this request.
  public func dispatch(_ call: MethodCall, from caller: Caller) async -> CallOutcome {
    await RequestScope.labelled(label(of: call, from: caller)) { await dispatchLabelled(call, from: caller) }
  }

  /// What the log says of a call. A core with an HTTP server of its own has not begun a label.
  private func label(of call: MethodCall, from caller: Caller) -> RequestLabel {
    let begun = RequestScope.current
    return RequestLabel(
      number: begun?.number ?? RequestScope.nextNumber(), address: begun?.address ?? caller.address.ip,
      client: caller.client.text, method: call.method)
  }

  private func dispatchLabelled(_ call: MethodCall, from caller: Caller) async -> CallOutcome {
    let start = MonotonicTime.now()
    let cost = CallCost()
    let outcome = await cost.measuring { await self.outcome(of: call, from: caller) }
    let counted: RequestCounts.Outcome =
      switch outcome {
      case .value: .ok
      case .fault: .fault
      case .denied: .refused
      }
    let duration = MonotonicTime.now() - start
    requests.record(call.method, counted, isOfPlugin: isRemoteMethod(call.method), duration)
    if logsClientRuns, counted != .refused {
      clientRuns.add(call.method, caller, isFault: counted == .fault, cost, at: start, duration)
    }
    return outcome
  }

  /// Whether anybody reads what a client's run has cost.
  private var logsClientRuns: Bool { requestSettings.logsClientRuns && logger.logLevel <= .info }

  /// Whether a name is one of a plugin or of the file monitor, by its first part.
  private func isRemoteMethod(_ method: String) -> Bool {
    guard let dot = method.utf8.firstIndex(of: UInt8(ascii: ".")) else { return false }
    let owner = String(method[..<dot])
    return owner == fileMonitor.name || plugins[owner] != nil
  }

  private func outcome(of call: MethodCall, from caller: Caller) async -> CallOutcome {
    do throws(Fault) {
      if Self.callsOfClients.contains(call.method) { try await checkDatabase(caller.client) }
    } catch {
      return .fault(error)
    }
    if fileMonitor.isHeld { await waitForHeldEdits() }
    fileMonitor.processPending()
    do throws(Fault) {
      guard try await checkACLs(caller, call.method) else { return .denied }
    } catch {
      return .fault(error)
    }
    return await perform(call, from: caller)
  }

  /// As `dispatch`, if the answer is cached and nothing has to be waited for: returns the XML-RPC response. Returns nil
  /// otherwise, without side effects. The caller has polled the file monitor.
  package func dispatchFromCache(_ call: MethodCall, from caller: Caller) -> ByteSegments? {
    let isConfiguration = call.method == "GetConfig"
    // The database has to be asked first whether the answer is current.
    guard isConfiguration || call.method == "GetProbes", call.params.isEmpty, !fileMonitor.isHeld,
      isWithinRepositoryGrace, database == nil
    else {
      return nil
    }
    if isConfiguration, interfaces.fetching.contains(where: \.concernsKeptAnswers) { return nil }
    let start = MonotonicTime.now()
    guard allowsByAddress(caller.address, call.method),
      let cached = isConfiguration ? cachedConfiguration(caller.client) : cachedProbes(caller.client)
    else { return nil }
    let duration = MonotonicTime.now() - start
    RequestScope.calls(call.method)
    if isConfiguration { recordGeneration(caller.client, duration) }
    statistics.add(call.method, duration)
    requests.recordKept(isConfiguration ? RequestCounts.getConfig : RequestCounts.getProbes, duration)
    if logsClientRuns { clientRuns.addKept(caller, isConfiguration: isConfiguration, at: start, duration) }
    return answerCache.serveResponse(cached)
  }

  /// Whether every plugin allows a call by the address alone. If one denies it, or needs the client, `checkACLs`
  /// decides and logs.
  private func allowsByAddress(_ address: ClientAddress, _ rmi: String) -> Bool {
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
        didPerform(call)
        return .value(value)
      }
      if let value = try await callRemoteMethod(call) {
        didPerform(call)
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

  /// The introspection methods of Python's XML-RPC server.
  private func introspect(_ call: MethodCall) throws -> Value? {
    switch call.method {
    case "system.listMethods":
      try call.params.require(0, of: "system_listMethods")
      let own = ["ping", "system.listMethods", "system.methodHelp", "system.methodSignature"]
      return .array((own + listedRemoteMethods()).sorted().map { .string($0) })
    case "system.methodHelp":
      try call.params.require(1, of: "system_methodHelp")
      // Python's server knows the help of its own methods alone, not of those of an instance.
      return .string("")
    case "system.methodSignature":
      try call.params.require(1, of: "system_methodSignature")
      return .string("signatures not supported")
    default: return nil
    }
  }

  /// Whether the ClientACLs plugins allow an address to make a call: by address, then by metadata if one leaves it
  /// undecided. A failing plugin denies.
  ///
  /// - Throws: if metadata decides and the client has none.
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
