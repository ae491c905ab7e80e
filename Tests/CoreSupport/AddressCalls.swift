public import Core
public import Identity
public import XMLRPC

extension ServerCore {
  /// Carries out a call of whoever is at an address, as if it had authenticated with user `root`. Denied where that is
  /// nobody.
  public func dispatch(_ call: MethodCall, from address: ClientAddress) async -> CallOutcome {
    guard let client = try? await metadata.resolveClient(address) else { return .denied }
    return await dispatch(call, from: Caller(client, at: address))
  }
}
