/// What an argument of a mode may be.
enum Completion {
  case client, group, bundle, path, type, entry, propertyFile, file, mode, none
}
