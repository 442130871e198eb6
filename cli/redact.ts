/** The part of a URL between the user's name and the host, and `password=` wherever it stands. */
const URL_PASSWORD = /([a-z][\w+.-]*:\/\/[^\s:/@]*):\S*@/gi
const PASSWORD_PARAMETER = /(password=)[^\s&;'"]+/gi

/** Takes passwords out of text. */
export type Redactor = (text: string) => string

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The passwords in a connection string, as written and decoded. Works on text that is no valid URL as well. */
function passwordsIn(url: string): string[] {
  const user = /^[a-z][\w+.-]*:\/\/[^:/@]*:(.*)@/is.exec(url)?.[1]
  const parameter = /[?&\s]password=([^&\s]+)/i.exec(url)?.[1]
  return [user, parameter].flatMap(password => password ? [password, decoded(password)] : [])
}

/**
 * A redactor for everything that is printed: passwords inside URLs always, the known ones wherever they stand. A password
 * that is also part of the rest of its URL (`postgres` …) is no secret word, and hidden only where it stands as a password.
 */
export function redactor(urls: readonly (string | undefined)[], secrets: readonly string[] = []): Redactor {
  const given = urls.flatMap(url => url ?? [])
  const inPlace = (text: string): string => text.replace(URL_PASSWORD, '$1:***@').replace(PASSWORD_PARAMETER, '$1***')
  const openly = given.map(inPlace).join(' ')
  const words = [...new Set([...given.flatMap(passwordsIn), ...secrets])]
    .filter(word => word.length >= 3 && !openly.includes(word)).sort((a, b) => b.length - a.length)
  return text => words.reduce((shown, word) => shown.replaceAll(word, '***'), inPlace(text))
}
