import ArgumentParser
import Commands
import Core
import Crypt
import EventLoop
import Glibc
import Repository
import ServerSettings

/// `bcfg2-crypt`: encrypts and decrypts files of the repository.
@main
@MainActor
enum Bcfg2Crypt {
  nonisolated static let program = "bcfg2-crypt"

  static func main() {
    switch CommandParsing.parse(
      Arguments.self, Array(CommandLine.arguments.dropFirst()), as: Arguments.self)
    {
    case .ended(let status): exit(status)
    case .parsed(let arguments):
      // From the evaluation of an XPath expression.
      signal(SIGALRM) { _ in
        let text: StaticString = "bcfg2-crypt: the XPath expression takes too long in this file\n"
        _ = write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
        _exit(1)
      }
      do {
        exit(try CryptRun(arguments).run())
      } catch {
        Output.printError("\(program): \(error)")
        exit(CommandParsing.usage)
      }
    }
  }
}

/// What the arguments ask for, done for one file after the other.
@MainActor
struct CryptRun {
  private let arguments: Arguments
  private let request: CryptRequest

  init(_ arguments: Arguments) throws {
    var arguments = arguments
    // The files may be of a checkout that the server's user may not read.
    let settings = try CommandSettings.load(
      arguments.options, program: Bcfg2Crypt.program, keepsUser: true,
      // Where the repository is edited, bcfg2.conf may have passphrases alone.
      tellsWarnings: arguments.verbose || arguments.debug)
    if arguments.decrypt {
      if arguments.remove {
        Self.say("--remove cannot be used with --decrypt, ignoring --remove")
        arguments.remove = false
      }
      if arguments.interactive {
        Self.say("Cannot decrypt interactively")
        arguments.interactive = false
      }
    }
    self.arguments = arguments
    request = try Self.request(arguments, settings)
  }

  private static func request(_ arguments: Arguments, _ settings: Settings) throws -> CryptRequest {
    var encryption = Encryption(settings)
    var passphrases = encryption.passphrases
    if let file = arguments.passphraseFile, let name = arguments.passphrase {
      passphrases = passphrases.filter { $0.key.lowercased() != name.lowercased() }
      passphrases[name] = try passphrase(file)
    }
    encryption = try encryption.with(
      passphrases: passphrases, format: arguments.aead ? .sealed : encryption.format
    ).withOneSalt()
    var request = CryptRequest(encryption: encryption, configurationFile: settings.configurationFile)
    request.mode = arguments.encrypt ? .encrypt : arguments.decrypt ? .decrypt : .either
    request.kind = arguments.cfg ? .cfg : arguments.properties ? .properties : .byContents
    request.passphrase = arguments.passphrase
    request.xpath = arguments.xpath
    request.removesSource = arguments.remove
    if arguments.interactive { request.confirm = { Self.asks($0) } }
    return request
  }

  /// The first line of a file, or of standard input.
  private static func passphrase(_ file: String) throws -> String {
    let line: String?
    if file == "-" {
      line = readLine()
    } else {
      line = try PassphraseFile.firstLine(file)
    }
    guard let line, !line.isEmpty else {
      throw ArgumentParser.ValidationError("\(file) has no passphrase in its first line")
    }
    return line
  }

  private nonisolated static func asks(_ element: String) -> Bool {
    Output.print(VisibleText.escaped(element, keepsLines: true))
    Output.write("Encrypt this element? [y/N] ")
    return readLine()?.lowercased().hasPrefix("y") ?? false
  }

  /// - Returns: the exit status.
  func run() -> Int32 {
    var isGood = true
    for path in arguments.files {
      do throws(CryptProblem) {
        var file = try CryptFile(path, request)
        defer { for notice in file.notices { log(notice) } }
        let result = try file.run()
        if arguments.stdout {
          show(result, of: path)
        } else {
          try file.write(result)
        }
      } catch {
        Self.say("\(error)")
        isGood = false
      }
    }
    return isGood || !arguments.strict ? 0 : 1
  }

  private func show(_ result: CryptFile.Result, of path: String) {
    let isOneOfMany = arguments.files.count > 1
    if isOneOfMany { Output.print("----- \(VisibleText.escaped(path)) -----") }
    Output.write(result.bytes + [UInt8(ascii: "\n")])
    if isOneOfMany { Output.print("") }
  }

  /// Tells what is wrong, and with -v what is done.
  private func log(_ notice: CryptNotice) {
    switch notice {
    case .detail(let text): if arguments.verbose || arguments.debug { Self.say(text) }
    case .warning(let text), .error(let text): Self.say(text)
    }
  }

  private static func say(_ text: String) { Output.printError("\(Bcfg2Crypt.program): \(VisibleText.escaped(text))") }
}
