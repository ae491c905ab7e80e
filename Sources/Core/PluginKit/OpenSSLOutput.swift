import XMLRPC

/// Extracts one sentence from the output of a failed openssl.
///
/// The output has the command's progress, the error queue line by line, oldest first, and sometimes a conclusion.
enum OpenSSLOutput {
  /// Sentences for openssl's words; the first match counts.
  private static let meanings: [(words: String, sentence: String)] = [
    ("maybe wrong password", "the passphrase of the key is wrong"),
    ("bad decrypt", "the passphrase of the key is wrong"),
    ("processing error:while reading strings", "the key has a passphrase, and none was given"),
    ("problems getting password", "the key has a passphrase, and none was given"),
    ("key values mismatch", "the key does not match the certificate"),
    ("CA certificate and CA private key do not match", "the key of the authority does not match its certificate"),
    ("unable to get local issuer certificate", "the authority that signed the certificate is not in the chain"),
    ("unable to get issuer certificate", "the authority that signed the chain is missing"),
    ("self-signed certificate", "the certificate is signed by itself or by an authority that is not trusted"),
    ("certificate has expired", "a certificate has expired"),
    ("certificate is not yet valid", "a certificate is not valid yet"),
    ("certificate signature failure", "the certificate was not signed by this authority"),
    ("There is already a certificate for", "the authority has a valid certificate of this subject already"),
    ("unable to load number from", "the file with the authority's next serial number cannot be read"),
    ("field needed to be supplied and was missing", "the authority's policy asks for a field that the request has not"),
    ("no start line", "a file is not in PEM form"),
    ("Expecting: ANY PRIVATE KEY", "a file is no private key in PEM form"),
    ("Permission denied", "a file may not be read or written by the server's user"),
    ("No such file or directory", "a file does not exist"),
  ]

  /// - Parameter text: the output, trimmed.
  /// - Returns: the sentence, followed in parentheses by openssl's first line of plain text if there is one; or the
  ///   whole text if nothing in it is known.
  static func summary(_ text: String) -> String {
    guard let known = meanings.first(where: { text.contains($0.words) }) else { return text }
    let lines = text.split(separator: "\n").map { String($0).trimmingBlanks }
    // Lines of the error queue begin with a number: `40B7A4...:error:...`.
    let plain = lines.first { !$0.contains(":error:") && !$0.hasPrefix("Using configuration") && !$0.isEmpty }
    return plain.map { "\(known.sentence) (\($0))" } ?? known.sentence
  }
}
