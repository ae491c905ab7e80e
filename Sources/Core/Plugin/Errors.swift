/// A plugin could not do what it was asked for one entry or one client; the rest goes on.
public struct PluginExecutionError: Error, CustomStringConvertible {
  public let description: String
  /// What clients get in place of `description`, which names paths of this machine; nil: the same.
  public let textForClients: String?

  /// - Parameter textForClients: what clients get where `message` names paths of this machine.
  public init(_ message: String, forClients textForClients: String? = nil) {
    description = message
    self.textForClients = textForClients
  }
}

/// A plugin cannot be loaded; the server runs without it.
public struct PluginInitError: Error, CustomStringConvertible {
  public let description: String
  public init(_ message: String) { description = message }
}

/// The metadata of a client contradicts itself, or there is none.
public struct MetadataConsistencyError: Error, CustomStringConvertible {
  public let description: String
  public init(_ message: String) { description = message }
}

/// The metadata system cannot answer: not read yet, not writable.
public struct MetadataRuntimeError: Error, CustomStringConvertible {
  public let description: String
  /// What clients get in place of `description`, which names paths of this machine; nil: the same.
  public let textForClients: String?

  /// - Parameter textForClients: what clients get where `message` names paths of this machine.
  public init(_ message: String, forClients textForClients: String? = nil) {
    description = message
    self.textForClients = textForClients
  }
}

/// A validator refuses the configuration: the client gets none.
public struct ValidationError: Error, CustomStringConvertible {
  public let description: String
  public init(_ message: String) { description = message }
}

/// The server core cannot start.
public struct CoreInitError: Error, CustomStringConvertible {
  public let description: String
  public init(_ message: String) { description = message }
}
