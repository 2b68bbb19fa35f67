"""Page objects: what people do, in the words that they read. Locators are roles and words."""
