"""ARM over HTTP: rows of the type table become answers, errors, pages and long-running operations. Knows no cloud."""
