public import Repository

/// What is to be done with files, and with which passphrases.
public struct CryptRequest: Sendable {
  public enum Mode: Sendable {
    case encrypt, decrypt
    /// Decrypts; a file that cannot be decrypted is encrypted.
    case either
  }

  public enum Kind: Sendable {
    case cfg, properties
    /// A file named `.xml` whose root is `Properties` is one of Properties, any other one of Cfg.
    case byContents
  }

  public var mode = Mode.either
  public var kind = Kind.byContents
  /// The name of the passphrase.
  public var passphrase: String?
  /// Which elements of Properties.
  public var xpath: String?
  /// Asks for each element of Properties whether it is to be encrypted. It gets the element without its children.
  public var confirm: (@Sendable (_ element: String) -> Bool)?
  /// Deletes the plain file after its encryption.
  public var removesSource = false
  /// The passphrases, and how data is encrypted.
  public let encryption: Encryption
  /// The file that names the passphrases, for messages.
  public let configurationFile: String

  public init(encryption: Encryption, configurationFile: String) {
    self.encryption = encryption
    self.configurationFile = configurationFile
  }

  /// The one passphrase for a whole file: the chosen one, or the only one; nil if there are several to try.
  ///
  /// - Throws: if there is no passphrase at all, or none of the chosen name.
  func wholePassphrase() throws(CryptProblem) -> Passphrase? {
    guard !encryption.passphrases.isEmpty else {
      throw CryptProblem("No passphrases available in \(configurationFile)")
    }
    if let passphrase {
      guard let found = named(passphrase) else {
        throw CryptProblem("Could not find passphrase \(passphrase) in \(configurationFile)")
      }
      return found
    }
    guard encryption.passphrases.count == 1, let only = encryption.passphrases.first else { return nil }
    return Passphrase(name: only.key, text: only.value)
  }

  /// The passphrase of a name.
  func named(_ name: String) -> Passphrase? {
    guard let text = try? encryption.passphrase(named: name) else { return nil }
    return Passphrase(name: name, text: text)
  }

  var ambiguous: CryptProblem {
    CryptProblem("Multiple passphrases found in \(configurationFile), specify one on the command line with -p")
  }
}

/// A passphrase and its name.
struct Passphrase: Sendable {
  let name: String
  let text: String
}

/// Why a file is skipped. The text never has the data or a passphrase.
public struct CryptProblem: Error, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}

/// What is told about a file on the way.
public enum CryptNotice: Sendable, Hashable {
  case detail(String)
  case warning(String)
  case error(String)
}
